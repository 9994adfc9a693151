"""The ffmpeg process: its start, its limits, its two pipes, its end.

The only module that imports subprocess. `run` returns when ffmpeg has ended and not
before; however it is left, by return, exception or KeyboardInterrupt, no process remains.
"""

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render.errors import Cancelled, DiskFull, EngineError, TooBig, TooLarge, TooSlow
from jobserver.render.launch import CANNOT
from jobserver.render.pipes import TAIL, Lines, Log

# Between SIGTERM and SIGKILL: with a heartbeat (1 s) and a tick before it, what was cancelled
# has gone within 5 s.
GRACE_S = 3.5
_TICK_S = 0.1  # how late a cancel or a clock may be noticed
_QUOTED = 2000  # characters of a log in an error's detail
_LAUNCH = str(Path(__file__).with_name("launch.py"))
_NO_SPACE = re.compile("No space left on device|Disk quota exceeded")
# Thread stacks and allocator slack count as data of a process but are hardly ever used.
_UNUSED_DATA = 1024**3


@dataclass(frozen=True)
class Limits:
    """What one process may use: seconds of the clock, seconds without a sign of progress,
    bytes of memory beside unused stacks, bytes of each file it writes."""

    wall_s: float
    stall_s: float
    memory: int
    file_bytes: int


@dataclass(frozen=True)
class Ending:
    """How ffmpeg ended: its exit status (negative: the signal) and what it wrote to stderr."""

    status: int
    log: str

    @property
    def last_words(self) -> str:
        """The end of the log, for an error's detail."""
        return f"status {self.status}: {self.log[-_QUOTED:]}"


@dataclass(frozen=True)
class Access:
    """The files this process may open; sandbox=False lifts that (hardware encoders)."""

    reads: Sequence[Path]
    writes: Sequence[Path] = ()
    sandbox: bool = True


def run(
    command: Sequence[str],
    limits: Limits,
    access: Access,
    on_line: Callable[[bytes], bool],
    cancel: threading.Event | None = None,
) -> Ending:
    """Run ffmpeg to its end; `command[0]` is its absolute path.

    on_line gets every line of stdout and says whether it shows progress, which rewinds the
    stall clock; so does a file it writes, if it has changed when that clock runs out. Raises
    Cancelled once `cancel` is set, TooSlow when a clock ran out, TooBig when a file outgrew its
    limit, DiskFull, EngineError when ffmpeg cannot be started. Any other exit status is
    returned: what it means depends on the file.
    """
    with _started(command, limits, access) as process:
        watch = _Watch(process, limits, access.writes, on_line, cancel)
        watch.until_end()
    return _judged(Ending(process.returncode, watch.log.text()))


def version(name: str) -> str:
    """Return the first line that an ffmpeg says of itself, as `ffmpeg version 9.0`.

    Raises EngineError when it does not start.
    """
    lines: list[bytes] = []
    limits = Limits(wall_s=30, stall_s=30, memory=2**30, file_bytes=0)

    def keep(line: bytes) -> bool:
        lines.append(line)
        return True

    ending = run([name, "-version"], limits, Access([]), keep)
    if ending.status or not lines:
        raise EngineError("ffmpeg could not be started.", ending.last_words)
    return " ".join(lines[0].decode("utf-8", "replace").split()[:3])


@contextlib.contextmanager
def _started(
    command: Sequence[str], limits: Limits, access: Access
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ffmpeg as leader of its own group; on leaving it has ended, by force if need be."""
    launcher = [sys.executable, "-I", "-S", _LAUNCH, _order(limits, access), *command]
    try:
        process = subprocess.Popen(  # noqa: S603  a list, no shell
            launcher,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            process_group=0,
        )
    except OSError as error:
        raise EngineError("ffmpeg could not be started.", str(error)) from error
    try:
        yield process
    finally:
        _kill(process)


def _order(limits: Limits, access: Access) -> str:
    """Tell launch.py what to impose (see there)."""
    return json.dumps(
        {
            "parent": os.getpid(),
            "limits": {
                # A last resort for when nobody watches the wall clock any more.
                "RLIMIT_CPU": int(limits.wall_s * (os.cpu_count() or 1)) + 1,
                "RLIMIT_DATA": limits.memory + _UNUSED_DATA,
                "RLIMIT_FSIZE": limits.file_bytes,
                "RLIMIT_CORE": 0,
                "RLIMIT_NOFILE": 256,
            },
            "reads": [str(path) for path in access.reads] if access.sandbox else None,
            "writes": [str(path) for path in access.writes],
        }
    )


def _judged(ending: Ending) -> Ending:
    """Raise for the endings that need no knowledge of the file."""
    if ending.status == -signal.SIGXFSZ:
        raise TooBig(detail=ending.last_words)
    if ending.status == -signal.SIGXCPU:
        raise TooSlow(detail=ending.last_words)
    if ending.status and _NO_SPACE.search(ending.log[-TAIL:]):
        raise DiskFull(detail=ending.last_words)
    if ending.status and "received signal" in ending.log[-TAIL:]:
        raise EngineError("The renderer was stopped from outside.", ending.last_words)
    if ending.status and "Cannot allocate memory" in ending.log[-TAIL:]:
        raise TooLarge("This video needs more memory than is allowed.", ending.last_words)
    if ending.status == CANNOT:
        raise EngineError("ffmpeg could not be started.", ending.last_words)
    if ending.status == -signal.SIGKILL:
        raise EngineError("The renderer was killed from outside.", ending.last_words)
    return ending


def _written(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return size and time of change of each file; of those that are not there, nothing."""
    states = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            states.append((state.st_size, state.st_mtime_ns))
    return states


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the whole group; not yet reaped, so the number cannot be someone else's."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _kill(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


class _Watch:
    """Drains both pipes of one process and holds it to its clocks."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        writes: Sequence[Path],
        on_line: Callable[[bytes], bool],
        cancel: threading.Event | None,
    ) -> None:
        self.process, self.limits, self.cancel = process, limits, cancel
        self.writes, self.written = writes, _written(writes)
        self.log, self.lines = Log(), Lines(on_line)
        self.started = self.moved = time.monotonic()

    def until_end(self) -> None:
        """Return once both pipes are closed and ffmpeg has ended by itself.

        Raises Cancelled or TooSlow, after ffmpeg has been told to stop and has.
        """
        with selectors.DefaultSelector() as pipes:
            for pipe in (self.process.stdout, self.process.stderr):
                pipes.register(pipe, selectors.EVENT_READ)  # type: ignore[arg-type]
            while pipes.get_map() or self.process.poll() is None:
                self._drain(pipes)
                if reason := self._reason_to_stop():
                    self._stop(pipes)
                    raise reason

    def _drain(self, pipes: selectors.BaseSelector) -> None:
        """Read what is there, waiting a tick at most."""
        if not pipes.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_TICK_S)
        for key, _ in pipes.select(_TICK_S):
            data = os.read(key.fd, 65536)
            if not data:
                pipes.unregister(key.fileobj)
            elif key.fileobj is self.process.stderr:
                self.log.add(data)
            elif self.lines.add(data):
                self.moved = time.monotonic()

    @property
    def last_words(self) -> str:
        return self.log.text()[-_QUOTED:]

    def _reason_to_stop(self) -> Exception | None:
        now = time.monotonic()
        if self.cancel and self.cancel.is_set():
            return Cancelled()
        if now - self.moved > self.limits.stall_s and not self._wrote(now):
            return TooSlow(detail=f"no progress for {self.limits.stall_s} s: {self.last_words}")
        if now - self.started > self.limits.wall_s:
            return TooSlow(detail=f"not done after {self.limits.wall_s} s: {self.last_words}")
        return None

    def _wrote(self, now: float) -> bool:
        """Rewind the stall clock if a file has changed since it last ran out.

        ffmpeg says nothing while it moves gigabytes to put the index first. Looked at only
        now, so one that hangs after it wrote is given the time twice.
        """
        before, self.written = self.written, _written(self.writes)
        if self.written == before:
            return False
        self.moved = now
        return True

    def _stop(self, pipes: selectors.BaseSelector) -> None:
        """SIGTERM, then SIGKILL: a stopped or starving ffmpeg does not hear the first."""
        _signal(self.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self._drain(pipes)
        _kill(self.process)
