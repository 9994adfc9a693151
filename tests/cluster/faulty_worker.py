"""A worker with the steps of a claim: `python -m tests.cluster.faulty_worker`.

Steps, in their sequence: claimed (committed, no heartbeat yet), fetching (the source), rendering,
putting (the first object of a group is stored), put (all are), publishing (the rows are
written, not committed), committed.

RENDER=sleep: nothing is rendered, an output is some bytes that follow from its source, made
after a sleep of SLEEP_S. So a machine of two cores can have many workers, and each output is
known beforehand; what is real is everything around.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask.cli import ScriptInfo

from jobserver import create_app, render
from jobserver.files.s3.store import S3Store
from jobserver.worker import publish
from jobserver.worker.heartbeat import Heartbeat
from tests import faulty_worker
from tests.cluster import armed

GROUP = 2  # variations that a claim renders
OUTPUT_SIZE = 200_000  # bytes
SLEEP_S = 0.7


def content(source_sha256: str, number: int) -> bytes:
    """Return what a variation of a source is where rendering sleeps."""
    seed = hashlib.sha256(f"{source_sha256} {number}".encode()).digest()
    return seed * (OUTPUT_SIZE // len(seed))


def sleepy_render(
    source: Path,
    media: Any,
    wanted: Sequence[tuple[Any, Path]],
    settings: Any,
    /,
    *,
    on_progress: Callable[[float], None],
    cancel: Any,
    thumbnails: bool,
    **_: Any,
) -> Iterator[render.Output]:
    """Sleep, as if ffmpeg worked; then write each variation with its picture."""
    del settings, thumbnails
    armed.reach("rendering")
    end = time.monotonic() + SLEEP_S
    while (left := end - time.monotonic()) > 0:
        on_progress(1 - left / SLEEP_S)
        if cancel.wait(min(0.1, left)):
            raise render.Cancelled
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    for parameters, path in wanted:
        path.write_bytes(content(digest, parameters.index))
        picture = path.with_suffix(".webp")
        picture.write_bytes(b"picture")
        measured = render.Measured(hashes=b"")
        yield render.Output(parameters, path, media, measured, thumbnail=picture)


def sleepy_probe(path: Path, settings: Any, cancel: Any = None) -> Any:
    """Return what the worker wants to know of any file."""
    del path, settings, cancel
    packets = SimpleNamespace(shown=25)
    return SimpleNamespace(duration=1.0, displayed=(160, 90), packets=packets)


def let_renders_sleep() -> None:
    """Put these in the place of ffmpeg."""
    render.render, render.probe = sleepy_render, sleepy_probe  # type: ignore[assignment]
    render.check = lambda settings: None
    render.version = lambda settings: "asleep"
    render.group_size = lambda media, settings: GROUP
    render.thumbnail = lambda path, out, *_, **__: out.write_bytes(b"picture")


_puts: set[str] = set()  # the claims of which something was put


def _put(store: S3Store, path: Path, key: str, *, sync: bool = True) -> Any:
    staged = _real_put(store, path, key, sync=sync)
    claim = key.rpartition("/")[0]
    if sync and claim not in _puts:
        _puts.add(claim)
        armed.reach("putting")
    return staged


@contextmanager
def _exclusive(db: Any, lock: Any) -> Iterator[None]:
    armed.reach("put")
    with _real_exclusive(db, lock):
        yield
        armed.reach("publishing")
    armed.reach("committed")


_real_put, _real_exclusive = S3Store.put, publish.exclusive


def place_steps() -> None:
    """Put the steps around what the worker calls."""
    Heartbeat.renewing = armed.before(Heartbeat.renewing, "claimed")  # type: ignore[method-assign]
    S3Store.local_path = armed.before(S3Store.local_path, "fetching")  # type: ignore[method-assign]
    S3Store.put = _put  # type: ignore[method-assign]
    publish.exclusive = _exclusive
    if os.environ["RENDER"] == "sleep":
        let_renders_sleep()
    else:
        render.render = armed.before(render.render, "rendering")  # type: ignore[assignment]


if __name__ == "__main__":
    faulty_worker.shorten_times()
    place_steps()
    create_app().cli.main(args=["worker"], obj=ScriptInfo(create_app=create_app))
