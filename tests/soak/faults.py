"""What is done to the machine: processes killed and frozen, the disk filled, the clock moved."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import PROJECT, QUICK, Server, Worker, processes_naming

JUMPS_S = (-7200.0, -300.0, 300.0, 1800.0)
KEPT_FREE = 64 * 1024  # bytes that filling the disk leaves


class MovedWorker(Worker):
    """A worker by the clock of the soak."""

    def start(self) -> "MovedWorker":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.worker"],
                cwd=PROJECT,
                env={**self.server.environment, **QUICK, "WORKERS": "2", "WORKER_FAULT": ""},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self


class Machine:
    """A server and a worker on one disk; what has ended is started again."""

    def __init__(self, disk: Path) -> None:
        self.disk, self.clock = disk, disk.parent / "clock"
        self.clock.write_text("0")
        self.server = Server(disk.parent, SOAK_CLOCK=str(self.clock), CLIENT_TIMEOUT="10")
        self.server.wsgi = "tests.soak.web:app"
        for name, place in (
            ("DATABASE", "db.sqlite3"),
            ("UPLOAD_DIR", "uploads"),
            ("OUTPUT_DIR", "outputs"),
        ):
            self.server.settings[name] = str(disk / place)
        self.server.database, self.server.upload_dir = disk / "db.sqlite3", disk / "uploads"
        self.worker = MovedWorker(self.server)

    def start(self) -> None:
        self.server.start()
        self.worker.start()

    def go_on(self) -> None:
        """Start what does not run."""
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.launch()
        if self.worker.process is None or self.worker.process.poll() is not None:
            self.worker.start()

    def calm(self) -> None:
        """End every fault, and start both anew."""
        self.clock.write_text("0")
        for file in self.disk.glob("filling*"):
            file.unlink()
        self.worker.kill()
        self.server.kill()
        self.start()

    def stop(self) -> None:
        self.worker.stop()
        self.server.stop()


def kill_web(machine: Machine, draw: random.Random) -> None:
    with suppress(ProcessLookupError, IndexError):
        os.kill(draw.choice(machine.server.workers()), signal.SIGKILL)


def kill_server(machine: Machine, draw: random.Random) -> None:
    machine.server.kill()


def kill_worker(machine: Machine, draw: random.Random) -> None:
    machine.worker.kill()


def stop_worker(machine: Machine, draw: random.Random) -> None:
    machine.worker.stop()


def kill_ffmpeg(machine: Machine, draw: random.Random) -> None:
    for pid in processes_naming("launch.py") + processes_naming("ffmpeg"):
        with suppress(ProcessLookupError, FileNotFoundError):
            if str(machine.disk) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                os.kill(pid, signal.SIGKILL)


def freeze_web(machine: Machine, draw: random.Random) -> None:
    with suppress(ProcessLookupError, IndexError), _frozen(draw.choice(machine.server.workers())):
        time.sleep(draw.uniform(0.5, 4))


def freeze_worker(machine: Machine, draw: random.Random) -> None:
    """For longer than its lease, at times."""
    assert machine.worker.process is not None
    with suppress(ProcessLookupError), _frozen(machine.worker.process.pid):
        time.sleep(draw.uniform(0.5, 5))


def fill_disk(machine: Machine, draw: random.Random) -> None:
    file = machine.disk / f"filling{draw.random()}"
    left = os.statvfs(machine.disk)
    with suppress(OSError), file.open("wb") as full:
        os.posix_fallocate(full.fileno(), 0, max(4096, left.f_bavail * left.f_frsize - KEPT_FREE))
    time.sleep(draw.uniform(1, 4))
    file.unlink()


def move_clock(machine: Machine, draw: random.Random) -> None:
    now = float(machine.clock.read_text())
    draft = machine.clock.with_suffix(".new")
    draft.write_text(str(0.0 if now else draw.choice(JUMPS_S)))
    os.replace(draft, machine.clock)


FAULTS: dict[str, Callable[[Machine, random.Random], None]] = {
    "kill a web process": kill_web,
    "kill the server": kill_server,
    "kill the worker": kill_worker,
    "stop the worker": stop_worker,
    "kill ffmpeg": kill_ffmpeg,
    "freeze a web process": freeze_web,
    "freeze the worker": freeze_worker,
    "fill the disk": fill_disk,
    "move the clock": move_clock,
}


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
