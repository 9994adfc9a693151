"""What tests do with claims, in this process or in a worker's."""

from collections.abc import Callable
from pathlib import Path

from jobserver.worker.render_thread import RenderThread
from tests.support import Worker

StartWorker = Callable[..., Worker]

GAVE_UP = "This video could not be rendered; 3 attempts failed."


def run_claims(render_thread: RenderThread) -> int:
    """Claim and render until nothing waits; return how many claims that took."""
    return sum(1 for _ in iter(render_thread.work_once, False))


def file_versions(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and last write (ns) of each file, by name: the same while nobody replaces it."""
    stats = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}
