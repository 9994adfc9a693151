"""A worker that is dead, frozen, without disk or without folders: health and the job say so, and

its log says what happened once, not for each time that it looks.
"""

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from jobserver.jobs import workers
from jobserver.worker import render_thread as render_thread_module
from jobserver.worker.engine import render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.render_thread import RenderThread
from tests.db.damage import PAGE_SIZE, another_process, overwrite
from tests.disk import fill
from tests.support import Site, Worker, wait_for
from tests.worker.claims import StartWorker, run_claims

LOOKS_S = 1.0  # how long a worker is watched: it looks for a file each IDLE_S, 20 times a second


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is dead after 2 s, which is more than the heartbeats of QUICK need."""
    monkeypatch.setattr(workers, "ALIVE_S", 2.0)


def codes(site: Site) -> list[str]:
    """Why health says that the server is degraded; none when it is ok."""
    answer = site.client.get("/api/health")
    assert answer.status_code == 200, answer.json
    return [reason["code"] for reason in answer.json.get("reasons", [])]


def waits_for(site: Site, job_id: str) -> str | None:
    reason = site.show(job_id)["waitsFor"]
    return None if reason is None else reason["code"]


def wait_until_both_say(site: Site, job_id: str, code: str) -> None:
    """Wait until health and the job say why the job waits."""
    wait_for(lambda: codes(site) == [code], 20, f"{code} in {site.client.get('/api/health').json}")
    wait_for(lambda: waits_for(site, job_id) == code, 20, site.state())


def wait_while_it_looks(site: Site) -> None:
    """Wait until the worker has lived for LOOKS_S more."""
    (begin,) = site.rows("SELECT MAX(seen_at) FROM worker")[0]
    newest = "SELECT MAX(seen_at) FROM worker"
    wait_for(lambda: site.rows(newest)[0][0] > begin + LOOKS_S, 20, "heartbeats")


def messages(worker: Worker) -> list[str]:
    """The lines of its log without the process id."""
    return [line.partition(" ")[2] for line in worker.log().splitlines()]


def labels(site: Site) -> list[str]:
    """What the log calls each file."""
    rows = site.rows("SELECT job_id, id FROM job_file ORDER BY job_id, position")
    return [f"job {job_id} file {file_id}" for job_id, file_id in rows]


# -- dead and frozen ----------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_worker_that_dies_or_freezes_is_said_and_so_is_its_return(
    site: Site, start_worker: StartWorker, clip: bytes, long_clip: bytes, number: signal.Signals
) -> None:
    worker = start_worker(ENCODER_PRESET="placebo")
    site.wait_until(site.upload(clip, variations="1"), "completed")
    job_id = site.upload(long_clip, variations="2")
    site.wait_until(job_id, "processing")
    wait_for(lambda: site.show(job_id)["etaSeconds"] is not None, 20, site.state())
    assert (codes(site), waits_for(site, job_id)) == ([], None)
    worker.process.send_signal(number)
    wait_until_both_say(site, job_id, "no_worker")
    job = site.show(job_id)
    assert (job["status"], job["etaSeconds"]) == ("processing", None)
    health = site.client.get("/api/health").json
    assert (health["status"], health["worker"]["count"]) == ("degraded", 0)
    assert health["worker"]["lastSeen"] is not None
    if number == signal.SIGSTOP:
        worker.go_on()
    else:
        start_worker(ENCODER_PRESET="placebo")
    wait_for(lambda: codes(site) == [], 20, "a worker")
    wait_for(lambda: waits_for(site, job_id) is None, 20, site.state())


def test_a_worker_that_stops_cleanly_leaves_no_row(site: Site, start_worker: StartWorker) -> None:
    first, second = start_worker(WORKERS="3"), start_worker()
    threads = "SELECT name, threads FROM worker ORDER BY threads"
    wait_for(lambda: len(site.rows(threads)) == 2, 20, first.log())
    host = os.uname().nodename
    assert site.rows(threads) == [
        (f"{host}:{second.process.pid}", 1),
        (f"{host}:{first.process.pid}", 3),
    ]
    assert [first.stop(), second.stop()] == [0, 0]
    assert site.rows(threads) == []
    assert site.client.get("/api/health").json["worker"] == {"count": 0, "lastSeen": None}


def test_the_housekeeping_forgets_workers_that_died_long_ago(
    site: Site, start_worker: StartWorker
) -> None:
    start_worker().kill()
    killed = start_worker()
    wait_for(lambda: site.rows("SELECT 1 FROM worker"), 20, killed.log())
    killed.kill()
    start_worker(HOUSEKEEPING_S="0.1", KEPT_S="1")
    pids = "SELECT name FROM worker WHERE name LIKE ?"
    gone = f"%:{killed.process.pid}"
    wait_for(lambda: not site.rows(pids, gone), 20, "the end of its row")


# -- what the log says --------------------------------------------------------------------


def test_the_log_has_a_line_for_start_claim_publication_giving_up_and_stop(
    site: Site, start_worker: StartWorker, clip: bytes
) -> None:
    job_id = site.upload(clip, bytes(1024), variations="7")
    worker = start_worker()
    site.wait_until(job_id, "completed")
    assert worker.stop() == 0
    name = f"worker {os.uname().nodename}:{worker.process.pid}"
    good, bad = labels(site)
    lines = messages(worker)
    assert lines[0] == f"{name}: started, WORKERS=1"
    assert lines[-2:] == [f"{name}: stopping", f"{name}: stopped"]
    assert f"{good}: claimed, attempt 1" in lines
    assert f"{bad}: claimed, attempt 1" in lines
    assert f"{bad}: gave up: This file is not an MP4 video." in lines
    published = [line for line in lines if ": published " in line]
    assert all(line.startswith(f"{good}: published variation") for line in published)
    assert published[-1].endswith(", 0 to go")
    numbers = [re.findall(r"\d+", line.partition("published")[2])[:-1] for line in published]
    assert list(chain(*numbers)) == list("1234567")


def test_the_log_says_when_a_file_was_cancelled_or_given_back(
    site: Site, start_worker: StartWorker, long_clip: bytes
) -> None:
    worker = start_worker(ENCODER_PRESET="placebo", WORKER_GRACE="0")
    lost = site.upload(long_clip, variations="1")
    wait_for(lambda: "claimed" in worker.log(), 20)
    site.post_action(lost, "cancel")
    (label,) = labels(site)
    wait_for(lambda: f"{label}: cancelled" in worker.log(), 20, worker.log())
    kept = site.upload(long_clip, variations="1")
    wait_for(lambda: f"job {kept} file" in worker.log(), 20, worker.log())
    assert worker.stop() == 0
    assert [line for line in messages(worker) if f"job {kept}" in line][-1].endswith("given back")


# -- without disk, without folders --------------------------------------------------------


@pytest.fixture
def worker_of(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start a worker of a site that is not the fixture `site`."""
    started: list[Worker] = []

    def start(site: Site, **settings: str) -> Worker:
        started.append(Worker(site.server, **settings).start())
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


@pytest.mark.tools
@pytest.mark.parametrize("left", [0, 16 * 1024], ids=["nothing left", "too little left"])
def test_a_full_disk_is_said_by_health_the_job_and_one_line_of_the_log(
    tmp_path: Path, small_disk: Path, clip: bytes, worker_of: Any, left: int
) -> None:
    site = Site(tmp_path, OUTPUT_DIR=str(small_disk))
    job_ids = [site.upload(clip, variations="3") for _ in range(3)]
    filler = small_disk / "filler"
    fill(filler)
    os.truncate(filler, filler.stat().st_size - left)
    worker = worker_of(site)
    for job_id in job_ids:
        wait_until_both_say(site, job_id, "disk_space")
    assert site.show(job_ids[0])["etaSeconds"] is None
    wait_while_it_looks(site)
    said = [line for line in messages(worker) if "space" in line]
    assert len(said) == len(set(said)) <= 2, worker.log()  # the disk has none, it was not enough
    assert len([line for line in messages(worker) if ": claimed," in line]) <= 1, worker.log()
    filler.unlink()
    for job_id in job_ids:
        site.wait_until(job_id, "completed")
    for job_id in job_ids:
        site.check_completed(job_id, 3)
    assert codes(site) == []
    assert worker.stop() == 0


@pytest.mark.tools
def test_a_worker_renders_on_when_only_the_disk_of_uploads_is_full(
    tmp_path: Path, small_disk: Path, clip: bytes, worker_of: Any
) -> None:
    site = Site(tmp_path, UPLOAD_DIR=str(small_disk))
    job_id = site.upload(clip, variations="1")
    fill(small_disk / "filler")
    worker = worker_of(site)
    site.wait_until(job_id, "completed")
    assert codes(site) == ["disk_space"]  # for uploads
    assert worker.stop() == 0


@pytest.mark.parametrize("become", ["empty", "missing"])
def test_folders_that_are_not_mounted_are_said_by_health_the_job_and_one_line_of_the_log(
    site: Site, start_worker: StartWorker, clip: bytes, become: str
) -> None:
    job_id = site.upload(clip, variations="1")
    away = site.output_dir.rename(site.output_dir.with_name("away"))
    if become == "empty":
        site.output_dir.mkdir()
    worker = start_worker(OUTPUT_DIR=str(site.output_dir))
    wait_for(lambda: waits_for(site, job_id) == "storage_unavailable", 20, site.state())
    answer = site.client.get("/api/health")
    assert (answer.status_code, answer.json["error"].split()[0]) == (503, "OUTPUT_DIR")
    wait_while_it_looks(site)
    said = [line for line in messages(worker) if "OUTPUT_DIR" in line or "not available" in line]
    assert len(said) == 1, worker.log()
    assert "claimed" not in worker.log()
    if site.output_dir.exists():
        site.output_dir.rmdir()
    away.rename(site.output_dir)
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 1)
    assert worker.stop() == 0


def test_health_says_it_when_only_the_worker_is_without_folders(
    site: Site, start_worker: StartWorker, clip: bytes, tmp_path: Path
) -> None:
    job_id = site.upload(clip, variations="1")
    (tmp_path / "not mounted").mkdir()
    start_worker(OUTPUT_DIR=str(tmp_path / "not mounted"))
    wait_until_both_say(site, job_id, "storage_unavailable")
    start_worker()
    site.wait_until(job_id, "completed")
    assert codes(site) == []


# -- a database that does not work --------------------------------------------------------


class Rounds(threading.Event):
    """Is set once a render thread has been idle so often."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        if self._left <= 0:
            self.set()
        return self.is_set()


@pytest.fixture
def thread_alone(site: Site) -> RenderThread:
    """A render thread whose heartbeat does not run: what it logs is its own."""
    heartbeat = Heartbeat(site.server.database)
    settings = render_settings(site.settings)
    return RenderThread(site.server.database, site.store, settings, heartbeat)


def test_a_damaged_database_is_one_line_however_often_a_claim_is_tried(
    site: Site, thread_alone: RenderThread, caplog: pytest.LogCaptureFixture
) -> None:
    site.upload(bytes(1024))
    path = site.server.database
    with another_process(path, "PRAGMA wal_checkpoint(TRUNCATE)"):
        overwrite(path, PAGE_SIZE, b"\xff" * (path.stat().st_size - PAGE_SIZE))
    with caplog.at_level(logging.INFO):
        thread_alone.run(Rounds(200))
    (record,) = caplog.records
    assert record.getMessage().startswith("cannot claim: The database is not available (")


def test_a_database_that_others_lock_is_one_line_however_often_a_claim_is_tried(
    site: Site,
    thread_alone: RenderThread,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(render_thread_module, "LOCK_TIMEOUT_S", 0.001)
    job_id = site.upload(bytes(1024))
    with caplog.at_level(logging.INFO), another_process(site.server.database, "BEGIN IMMEDIATE"):
        thread_alone.run(Rounds(100))
    (record,) = caplog.records
    assert record.getMessage().startswith("cannot claim: The database is busy; try again (")
    assert site.show(job_id)["status"] == "queued"


def test_a_bug_is_one_traceback_however_often_it_happens(
    site: Site,
    thread_alone: RenderThread,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(thread_alone, "work_once", lambda: 1 / 0)
    thread_alone.run(Rounds(100))
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "ZeroDivisionError" in record.getMessage()


def test_what_ffmpeg_says_of_a_file_is_one_line_of_the_log(
    site: Site, render_thread: RenderThread, caplog: pytest.LogCaptureFixture
) -> None:
    site.upload(b"\x00\x00\x00\x18ftypisom\x1b[31m\n\r forged line\n" + bytes(1000))
    with caplog.at_level(logging.INFO):
        run_claims(render_thread)
    lines = [record.getMessage() for record in caplog.records]
    assert any(": gave up: " in line for line in lines)
    assert all(line.isprintable() for line in lines)
