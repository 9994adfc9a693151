"""A small disk of a test's own, and what fills it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def mounted(folder: Path, mebibytes: int, inodes: int = 0, owner: int = 0) -> Iterator[Path]:
    """Mount an empty disk of this size on a new folder; inodes: 0 for as many as fit.

    owner: a user id.
    """
    folder.mkdir()
    size = f"size={mebibytes}m,nr_inodes={inodes},mode=0777,uid={owner}"
    _as_root("mount", "-t", "tmpfs", "-o", size, "jobserver-test", str(folder))
    try:
        yield folder
    finally:
        _as_root("umount", "--lazy", str(folder))


def _as_root(*command: str) -> None:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, *command], check=True, timeout=30)


def fill(path: Path) -> None:
    """Write into `path` until its disk takes no byte more."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    disk = os.statvfs(path)
    assert disk.f_bavail == 0
