"""One function for each thing that is counted; each does nothing before `start()`.

A process has numbers of its own from the first that it counts, so also one that was forked.
"""

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from jobserver.metrics import process_files
from jobserver.metrics.meters import Meters
from jobserver.metrics.process_files import ProcessFiles

Direction = Literal["upload", "download"]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"  # of a path that is nobody's

log = logging.getLogger(__name__)


class Recorder:
    """The metrics of the process that asks. folder: it is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._meters: Meters | None = None
        self._files: ProcessFiles | None = None

    def meters(self) -> Meters | None:
        """Return them; None when their files could not be made, as on a full disk."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._begin()
        return self._meters

    def close(self) -> None:
        """Let what this process has counted be added up with what ended ones have."""
        if self._files is not None and self._pid == os.getpid():
            self._files.close()

    def _begin(self) -> None:
        self._meters = None
        try:
            self._files = ProcessFiles(self.folder)
            process_files.keep_numbers_in(self.folder, self._files.name)
            self._meters = Meters()
        except OSError as error:
            log.warning("this process counts nothing for /metrics: %s", error)
        self._pid = os.getpid()


_recorder: Recorder | None = None


def start(folder: Path) -> None:
    """Count from now on, in files in this folder; it is there."""
    global _recorder
    stop()
    _recorder = Recorder(folder)


def stop() -> None:
    """Count nothing more."""
    global _recorder
    if _recorder is not None:
        _recorder.close()
    _recorder = None


def _meters() -> Meters | None:
    return None if _recorder is None else _recorder.meters()


def request_ended(
    method: str, route: str | None, *, status: int, seconds: float, received: int, sent: int
) -> None:
    """Count a request. route: its rule, None for a path that is nobody's. received, sent: bytes."""
    if (meters := _meters()) is None:
        return
    route = route or NO_ROUTE
    meters.requests.labels(method if method in METHODS else "other", route, str(status)).inc()
    meters.latency.labels(route).observe(seconds)
    if received:
        meters.received.inc(received)
    meters.sent.inc(sent)


@contextmanager
def transfer(direction: Direction) -> Iterator[None]:
    """Count an upload or a download as in flight inside `with`."""
    meters = _meters()
    if meters is None:
        yield
        return
    gauge = meters.transfers.labels(direction)
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


def state_changed(kind: str) -> None:
    """Count an event, as `file.completed`; see jobs/events.py."""
    if (meters := _meters()) is None:
        return
    what, _, state = kind.partition(".")
    counters = {"job": meters.jobs, "file": meters.files, "output": meters.outputs}
    if what in counters:
        counters[what].labels(state).inc()


def outputs_failed(count: int) -> None:
    """Count outputs that could not be made."""
    if count and (meters := _meters()):
        meters.outputs.labels("failed").inc(count)


def rendered(frames: int, seconds: float) -> None:
    """Count frames that were encoded, and the seconds that took."""
    if meters := _meters():
        meters.frames.inc(frames)
        meters.render_seconds.inc(seconds)


def render_failed(error: BaseException) -> None:
    """Count a render that ended with an error; the reason is the name of its class."""
    if meters := _meters():
        reason = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
        meters.failures.labels(reason).inc()


def lease_lost() -> None:
    """Count a file that another worker took while this one worked on it."""
    if meters := _meters():
        meters.lease_losses.inc()
