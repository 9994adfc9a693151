"""Run one ffmpeg process: start it with limits, read its pipes, watch its clocks, end it.

The only module that imports subprocess. No ffmpeg process outlives `run`, whether it returns or
raises, including KeyboardInterrupt.
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
from jobserver.render.launch import EXIT_NOT_STARTED
from jobserver.render.pipes import TAIL, Lines, Log

# From SIGTERM to SIGKILL. A worker notices a cancelled job within one heartbeat (1 s) and `run`
# within one tick, so ffmpeg has ended at most 5 s after the request.
GRACE_S = 3.5
_TICK_S = 0.1  # the longest delay until a cancellation or a timeout is noticed
_DETAIL_CHARS = 2000  # how much of the log goes into an error's detail
_LAUNCH = str(Path(__file__).with_name("launch.py"))
_NO_SPACE = re.compile("No space left on device|Disk quota exceeded")
# RLIMIT_DATA also counts address space that is reserved but hardly used: thread stacks, malloc
# arenas.
_RESERVED_DATA = 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one process.

    wall_s: seconds in total. stall_s: seconds without progress. memory: bytes. file_bytes: size
    of each file that it writes.
    """

    wall_s: float
    stall_s: float
    memory: int
    file_bytes: int


@dataclass(frozen=True)
class Completed:
    """How ffmpeg ended. status: exit status, or the negative signal number. log: its stderr."""

    status: int
    log: str

    @property
    def detail(self) -> str:
        """Status and end of the log, for the detail of an error."""
        return f"status {self.status}: {self.log[-_DETAIL_CHARS:]}"


@dataclass(frozen=True)
class Access:
    """The only files that ffmpeg may open. sandbox=False allows all, for hardware encoders."""

    reads: Sequence[Path]
    writes: Sequence[Path] = ()
    sandbox: bool = True


def run(
    command: Sequence[str],
    limits: Limits,
    access: Access,
    on_line: Callable[[bytes], bool],
    *,
    cancel: threading.Event | None = None,
) -> Completed:
    """Run ffmpeg until it has ended. `command[0]` is its absolute path.

    on_line: called with every line of stdout; returns whether the line shows progress, which
    restarts the stall timeout. A change of an output file restarts it too.

    Raises Cancelled once `cancel` is set, TooSlow after a timeout, TooBig when a file reached
    its size limit, TooLarge when memory ran out, DiskFull, and EngineError when ffmpeg cannot
    be started or was killed from outside. Any other exit status is returned, because its
    meaning depends on the file.
    """
    with _process(command, limits, access) as process:
        monitor = _Monitor(
            process, limits=limits, outputs=access.writes, on_line=on_line, cancel=cancel
        )
        monitor.wait()
    completed = Completed(process.returncode, monitor.log.text())
    _raise_for_status(completed)
    return completed


def version(name: str) -> str:
    """Return name and version of an ffmpeg, e.g. `ffmpeg version 7.0.2`.

    name: its absolute path. Raises EngineError when it cannot be started.
    """
    lines: list[bytes] = []
    limits = Limits(wall_s=30, stall_s=30, memory=2**30, file_bytes=0)

    def keep(line: bytes) -> bool:
        lines.append(line)
        return True

    completed = run([name, "-version"], limits, Access([]), keep)
    if completed.status or not lines:
        raise EngineError("ffmpeg could not be started.", completed.detail)
    return " ".join(lines[0].decode("utf-8", "replace").split()[:3])


@contextlib.contextmanager
def _process(
    command: Sequence[str], limits: Limits, access: Access
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ffmpeg as the leader of its own process group; kill the group on exit."""
    launcher = [sys.executable, "-I", "-S", _LAUNCH, _sandbox_spec(limits, access), *command]
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


def _sandbox_spec(limits: Limits, access: Access) -> str:
    """Return the SANDBOX_SPEC of launch.py."""
    return json.dumps(
        {
            "parent": os.getpid(),
            "limits": {
                # A fallback in case this process is stopped and cannot check wall_s.
                "RLIMIT_CPU": int(limits.wall_s * (os.cpu_count() or 1)) + 1,
                "RLIMIT_DATA": limits.memory + _RESERVED_DATA,
                "RLIMIT_FSIZE": limits.file_bytes,
                "RLIMIT_CORE": 0,
                "RLIMIT_NOFILE": 256,
            },
            "reads": [str(path) for path in access.reads] if access.sandbox else None,
            "writes": [str(path) for path in access.writes],
        }
    )


def _raise_for_status(completed: Completed) -> None:
    """Raise an error for each exit status whose reason does not depend on the file."""
    status, log, detail = completed.status, completed.log[-TAIL:], completed.detail
    if status == 0:
        return
    if status == -signal.SIGXFSZ:
        raise TooBig(detail=detail)
    if status == -signal.SIGXCPU:
        raise TooSlow(detail=detail)
    if _NO_SPACE.search(log):
        raise DiskFull(detail=detail)
    if "received signal" in log:
        raise EngineError("The renderer was stopped from outside.", detail)
    if "Cannot allocate memory" in log:
        raise TooLarge("This video needs more memory than is allowed.", detail)
    if status == EXIT_NOT_STARTED:
        raise EngineError("ffmpeg could not be started.", detail)
    if status == -signal.SIGKILL:
        raise EngineError("The renderer was killed from outside.", detail)


def _stat_files(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return size and modification time of each file that exists."""
    states = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            states.append((state.st_size, state.st_mtime_ns))
    return states


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the process group. Until it is reaped, its id cannot belong to another process."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group, reap the leader, close the pipes."""
    _signal(process, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


class _Monitor:
    """Reads both pipes of one process, and stops it on a timeout or a cancellation."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        limits: Limits,
        outputs: Sequence[Path],
        on_line: Callable[[bytes], bool],
        cancel: threading.Event | None,
    ) -> None:
        self.process, self.limits, self.cancel = process, limits, cancel
        self.outputs, self.output_stats = outputs, _stat_files(outputs)
        self.log, self.lines = Log(), Lines(on_line)
        self.started = self.progressed = time.monotonic()

    def wait(self) -> None:
        """Return once both pipes are closed and ffmpeg has ended by itself.

        Raises Cancelled or TooSlow, after ffmpeg has been stopped.
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
        """Read what the pipes hold; wait at most one tick for it."""
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
                self.progressed = time.monotonic()

    def _reason_to_stop(self) -> Exception | None:
        now = time.monotonic()
        if self.cancel and self.cancel.is_set():
            return Cancelled()
        if now - self.progressed > self.limits.stall_s and not self._outputs_changed(now):
            return self._too_slow(f"no progress for {self.limits.stall_s} s")
        if now - self.started > self.limits.wall_s:
            return self._too_slow(f"not done after {self.limits.wall_s} s")
        return None

    def _too_slow(self, reason: str) -> TooSlow:
        return TooSlow(detail=f"{reason}: {self.log.text()[-_DETAIL_CHARS:]}")

    def _outputs_changed(self, now: float) -> bool:
        """Return whether an output has changed since the last call; if so, restart the timeout.

        ffmpeg prints nothing while it rewrites a large file to move the index to the front.
        Checked only when the stall timeout has expired, so a process that hangs after it has
        written something is stopped after twice that time.
        """
        before, self.output_stats = self.output_stats, _stat_files(self.outputs)
        if self.output_stats == before:
            return False
        self.progressed = now
        return True

    def _stop(self, pipes: selectors.BaseSelector) -> None:
        """Send SIGTERM, then SIGKILL, because a stopped or starved ffmpeg ignores the first."""
        _signal(self.process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self._drain(pipes)
        _kill(self.process)
