"""Celery as a doorbell: whatever becomes of rings, broker and workers, the tables decide."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from jobserver.worker.doorbell import Doorbell
from tests.support import BIN, PROJECT, QUICK, Site, free_port, processes_naming, wait_for
from tests.worker.briefs import Parts, check_ended, queue_brief

pytestmark = pytest.mark.tools

NEVER = "3600"  # no ring of beat comes within a test
SOON = {"LEASE_S": "1", "RING_S": "0.3"}


class Broker:
    """A redis-server of a test's own; it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Broker":
        words = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        self.process = subprocess.Popen(
            ["redis-server", *words, "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        wait_for(lambda: self.ask("PING") == b"+PONG\r\n", 20, "a start of redis-server")
        return self

    def ask(self, command: str) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                sock.sendall(command.encode() + b"\r\n")
                return sock.recv(1000)
        except OSError:
            return b""

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


class CeleryWorker:
    """What an operator types, with shortened times; it shares the site's tables and folders."""

    def __init__(self, site: Site, app: str = "tests.faulty_doorbell", **settings: str) -> None:
        self.log_path = site.server.folder / "worker.log"
        (temporary := site.server.folder / "celery").mkdir(exist_ok=True)  # billiard's, not ours
        environment = {**site.server.environment, **QUICK, "RING_S": NEVER, **settings}
        environment["TMPDIR"] = str(temporary)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "celery", "-A", app, "worker", "-B"],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]

    def renderer(self) -> int:
        """The process of its pool that has an ffmpeg, or 0."""
        for child in self.children():
            tasks = Path(f"/proc/{child}/task")
            if any(_read(f"{task}/children") for task in tasks.iterdir()):
                return child
        return 0

    def kill(self) -> None:
        """SIGKILL the worker alone; the kernel ends its pool."""
        self.process.kill()
        self.process.wait(10)

    def kill_all(self) -> None:
        """SIGKILL its group: the process of beat outlives a worker that is killed."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Not started."""
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Site:
    return Site(tmp_path, CELERY_BROKER_URL=broker.url)


@pytest.fixture
def start_celery(site: Site) -> Iterator[Callable[..., CeleryWorker]]:
    with ExitStack() as stack:

        def start(*app: str, **settings: str) -> CeleryWorker:
            worker = CeleryWorker(site, *app, **settings)
            stack.callback(worker.kill_all)
            return worker

        yield start


StartCelery = Callable[..., CeleryWorker]


def wait_until_it_listens(worker: CeleryWorker, site: Site) -> None:
    """Wait for the rows of its pool, and until beat's first rings have gone by."""
    wait_for(lambda: site.rows("SELECT 1 FROM worker"), 40, worker.log())


def seconds_of(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def test_what_an_operator_types_renders(
    site: Site, broker: Broker, start_celery: StartCelery, clip: bytes
) -> None:
    broker.start()
    worker = start_celery("jobserver.worker.doorbell", WORKERS="2")
    wait_for(lambda: len(site.rows("SELECT 1 FROM worker")) == 2, 40, worker.log())
    jobs = [site.upload(clip, clip, variations="6") for _ in range(2)]
    for job_id in jobs:
        site.wait_until(job_id, "completed", 60)
    for job_id in jobs:
        site.check_completed(job_id, 6)
    assert site.rows("SELECT value FROM meta WHERE name = 'clock'")  # the housekeeping
    assert "Traceback" not in worker.log()


def test_an_upload_and_a_retry_ring_at_once(
    site: Site, broker: Broker, start_celery: StartCelery, clip: bytes
) -> None:
    broker.start()
    worker = start_celery()
    wait_until_it_listens(worker, site)
    job_id = site.upload(clip, variations="6")  # two groups: it rings again for the second
    site.wait_until(job_id, "completed")
    assert broker.ask("LLEN jobserver") == b":0\r\n"
    again = site.upload(bytes(1024))
    site.wait_until(again, "failed")
    assert site.post_action(again, "retry").status_code == 202
    tokens = "SELECT claim_token FROM job_file WHERE status = 'failed'"  # claim, retry, claim
    wait_for(lambda: site.rows(tokens) == [(3,)], 30, worker.log())
    site.check_completed(job_id, 6)


def test_a_brief_goes_through_its_stages_by_rings_alone(
    site: Site, broker: Broker, start_celery: StartCelery, clip: bytes
) -> None:
    broker.start()
    worker = start_celery(WORKERS="2")
    wait_until_it_listens(worker, site)
    videos = {f"clip{n}.mp4": clip for n in range(2)}
    job_id = queue_brief(site, Parts(videos, hooks={"hook.mp4": clip}), formats=["9:16"])
    site.wait_until(job_id, "completed", 60)
    check_ended(site, job_id, "completed", 2)
    assert broker.ask("LLEN jobserver") == b":0\r\n"


def test_doubled_rings_render_nothing_twice(
    site: Site, broker: Broker, start_celery: StartCelery, clip: bytes
) -> None:
    broker.start()
    job_id = site.upload(clip, clip, variations="6")
    bell = Doorbell(broker.url)
    for _ in range(10):
        bell.ring(5)
    wait_for(lambda: broker.ask("LLEN jobserver") == b":52\r\n", 20, "every ring")
    worker = start_celery(WORKERS="2")
    site.wait_until(job_id, "completed", 60)
    wait_for(lambda: broker.ask("LLEN jobserver") == b":0\r\n", 20, "an answer to every ring")
    site.check_completed(job_id, 6)
    assert worker.log().count(": claimed, attempt 1") == 4  # two files of two groups


@pytest.mark.parametrize("state", ["closed", "silent"])
def test_uploads_do_not_wait_for_a_broker_that_is_away(
    tmp_path: Path, clip: bytes, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if state == "silent":
            listener.listen()
        site = Site(tmp_path, CELERY_BROKER_URL=f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        fastest = min(seconds_of(lambda: site.upload(clip)) for _ in range(5))
        lines = wait_for(
            lambda: [record for record in caplog.records if "CELERY" in record.getMessage()], 20
        )
        for _ in range(3):
            site.upload(clip)
    assert fastest < 1.0  # less than the broker has to answer
    assert len(lines) == 1
    assert lines[0].getMessage().startswith("CELERY_BROKER_URL takes no ring: ")
    assert site.rows("SELECT COUNT(*) FROM job_file WHERE status = 'queued'") == [(8,)]


def test_rings_that_were_lost_are_made_good_by_beat(
    site: Site, broker: Broker, start_celery: StartCelery, clip: bytes
) -> None:
    job_id = site.upload(clip, variations="2")  # no broker yet
    worker = start_celery(**SOON)
    wait_for(lambda: "Cannot connect to redis" in worker.log(), 40, worker.log())
    broker.start()
    site.wait_until(job_id, "completed", 60)
    broker.kill()
    second = site.upload(clip, variations="2")
    wait_for(lambda: "Connection to broker lost" in worker.log(), 40, worker.log())
    broker.start()
    site.wait_until(second, "completed", 90)
    site.check_completed(job_id, 2)
    site.check_completed(second, 2)


@pytest.mark.parametrize("whole", [False, True], ids=["child of the pool", "worker"])
def test_a_killed_renderer_is_followed_by_another(
    site: Site, broker: Broker, start_celery: StartCelery, long_clip: bytes, whole: bool
) -> None:
    broker.start()
    worker = start_celery(ENCODER_PRESET="medium", **SOON)
    job_id = site.upload(long_clip, variations="2")
    wait_for(lambda: processes_naming(site.output_dir), 60, worker.log())
    renderer = wait_for(worker.renderer, 10, "a child that renders")
    if whole:
        worker.kill()
    else:
        os.kill(renderer, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{renderer}").exists(), 10, "its end")
    if whole:
        start_celery(**SOON)
    site.wait_until(job_id, "completed", 90)
    site.check_completed(job_id, 2)


def test_a_setting_that_cannot_be_used_stops_the_start(
    site: Site, broker: Broker, start_celery: StartCelery
) -> None:
    broker.start()
    worker = start_celery("jobserver.worker.doorbell", ENCODER="nothing")
    assert worker.process.wait(40) == 1
    assert "jobserver: ffmpeg" in worker.log() or "Unknown encoder" in worker.log()


def test_without_a_broker_it_does_not_start(site: Site, start_celery: StartCelery) -> None:
    del site.server.settings["CELERY_BROKER_URL"]
    worker = start_celery("jobserver.worker.doorbell")
    assert worker.process.wait(40) == 1
    assert worker.log().splitlines()[-1] == "jobserver: CELERY_BROKER_URL is not set"


def test_without_the_setting_celery_is_not_imported() -> None:
    program = """
import sys
from jobserver import create_app
create_app({"SECRET_KEY": "key for tests"})
print("celery" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=60
    )
    assert done.stdout == b"False\n", done.stderr
