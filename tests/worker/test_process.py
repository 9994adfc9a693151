"""The worker process: signals, several threads, a start that is refused, older databases."""

import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db import clock_note, initialise
from jobserver.db.migrations import SCRIPTS
from tests.support import (
    BIN,
    PASSWORD,
    PROJECT,
    QUICK,
    Server,
    Site,
    Worker,
    processes_naming,
    wait_for,
)
from tests.worker.briefs import Parts, check_ended, queue_brief
from tests.worker.claims import StartWorker

StartFlaskWorker = Callable[..., subprocess.Popen[str]]


# -- signals ------------------------------------------------------------------


def test_sigterm_lets_a_render_finish_that_is_nearly_done(
    site: Site, start_worker: StartWorker, clip: bytes
):
    job_id = site.upload(clip, variations="10")
    stopping = start_worker("written:STOP", LEASE_S="30")
    wait_for(stopping.is_stopped, 20, stopping.log())
    stopping.ask_to_stop()
    stopping.go_on()
    assert stopping.process.wait(20) == 0, stopping.log()
    assert site.show(job_id)["files"][0]["completedVariations"] == 5  # and not another group
    site.check_sound()
    start_worker()
    site.wait_until(job_id, "completed")
    site.check_completed(job_id, 10)


def test_sigterm_gives_back_a_file_that_takes_longer_than_the_grace_period(
    site: Site, start_worker: StartWorker, long_clip: bytes
):
    job_id = site.upload(long_clip, variations="1")
    stopping = start_worker(WORKER_GRACE="0", LEASE_S="600", ENCODER_PRESET="placebo")
    wait_for(lambda: processes_naming(site.output_dir), 20, "an ffmpeg")
    stopping.ask_to_stop()
    assert stopping.process.wait(20) == 0, stopping.log()
    site.check_sound()
    assert site.rows("SELECT status, attempts, lease_until FROM job_file") == [("processing", 0, 0)]
    start_worker()
    site.wait_until(job_id, "completed", 60)  # long before the lease of the first would end
    site.check_completed(job_id, 1)


def test_two_workers_with_two_threads_each_share_the_files(
    site: Site, start_worker: StartWorker, clip: bytes
):
    workers = [start_worker(WORKERS="2") for _ in range(2)]
    jobs = [site.upload(clip, clip, variations="2") for _ in range(4)]
    for job_id in jobs:
        site.wait_until(job_id, "completed")
    for job_id in jobs:
        site.check_completed(job_id, 2)
    pids = {name.split(":")[1] for (name,) in site.rows("SELECT worker FROM job_file")}
    assert pids <= {str(each.process.pid) for each in workers}
    assert [each.stop() for each in workers] == [0, 0]


def test_a_worker_exits_when_another_database_takes_the_place_of_its_own(
    site: Site, start_worker: StartWorker
):
    worker = start_worker(HOUSEKEEPING_S="0.1")
    with closing(site.connect()) as db:
        wait_for(lambda: clock_note(db), what="a round of its housekeeping")
    initialise(other := site.server.folder / "other.sqlite3")
    other.replace(site.server.database)
    assert worker.process.wait(20) == 1
    assert "Another database has taken the place of ours" in worker.log()


# -- flask worker -------------------------------------------------------------


@pytest.fixture
def start_flask_worker(site: Site) -> Iterator[StartFlaskWorker]:
    """Start the command that operators run."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **settings: str) -> subprocess.Popen[str]:
        command = [BIN / "flask", "--app", "wsgi", "worker", *words]
        environment = {**site.server.environment, **QUICK, **settings}
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=pipe, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"FFMPEG": "/bin/false"}, "exit status 1"),
        ({"ENCODER": "nothing"}, "Unknown encoder 'nothing'"),
        ({"ENCODER_PRESET": "nothing"}, "invalid preset 'nothing'"),
        ({"ENCODER_RATE": "-nothing 1"}, "Unrecognized option 'nothing'"),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_the_worker_command_refuses_settings_that_ffmpeg_cannot_encode_with(
    site: Site, start_flask_worker: StartFlaskWorker, settings: dict[str, str], reason: str
):
    process = start_flask_worker(**settings)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch("Error: FFMPEG, ENCODER, .* cannot be used: .*\n", log)
    assert reason in log


def test_the_worker_command_renders_and_exits_with_0_when_interrupted(
    site: Site, start_flask_worker: StartFlaskWorker, clip: bytes
):
    job_id = site.upload(clip, variations="1")
    process = start_flask_worker()
    site.wait_until(job_id, "completed")
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in log) == (0, False)
    assert PASSWORD not in log
    site.check_completed(job_id, 1)


def test_a_worker_of_a_batch_ends_with_0_when_the_queue_is_empty(
    site: Site, start_flask_worker: StartFlaskWorker, clip: bytes
):
    jobs = [site.upload(clip, clip, variations="6"), site.upload(bytes(1024))]
    process = start_flask_worker("--once", WORKERS="2")
    _, log = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in log) == (0, False), log
    assert [site.show(job_id)["status"] for job_id in jobs] == ["completed", "failed"]
    with closing(site.connect()) as db:
        assert clock_note(db) is not None  # one round of housekeeping
    assert site.rows("SELECT * FROM worker") == []
    site.check_completed(jobs[0], 6)


def test_a_worker_of_a_batch_goes_through_all_stages_of_a_brief(
    site: Site, start_flask_worker: StartFlaskWorker, clip: bytes
):
    videos = {f"clip{n}.mp4": clip for n in range(3)}
    job_id = queue_brief(site, Parts(videos, hooks={"hook.mp4": clip}), formats=["9:16"])
    process = start_flask_worker("--once", WORKERS="2")
    _, log = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in log) == (0, False), log
    check_ended(site, job_id, "completed", 3)


def test_a_worker_of_a_batch_ends_at_a_signal_and_gives_its_file_back(
    site: Site, start_flask_worker: StartFlaskWorker, long_clip: bytes
):
    site.upload(long_clip, variations="1")
    process = start_flask_worker("--once", WORKER_GRACE="0", ENCODER_PRESET="placebo")
    wait_for(lambda: processes_naming(site.output_dir), 20, "an ffmpeg")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert (process.returncode, "given back" in log) == (0, True), log
    assert site.rows("SELECT status, attempts, lease_until FROM job_file") == [("processing", 0, 0)]


def test_a_worker_of_a_batch_ends_with_1_when_files_wait_that_it_cannot_take(
    site: Site, start_flask_worker: StartFlaskWorker, clip: bytes, tmp_path: Path
):
    job_id = site.upload(clip)
    (tmp_path / "not mounted").mkdir()
    process = start_flask_worker("--once", OUTPUT_DIR=str(tmp_path / "not mounted"))
    _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    sentence = "Error: Videos wait that this worker could not render; its log says why"
    assert log.splitlines()[-1] == sentence
    assert "OUTPUT_DIR does not hold the files of this database" in log
    assert site.show(job_id)["status"] == "queued"


@pytest.mark.parametrize("state", ["missing", "of version 1"])
def test_the_worker_command_refuses_a_database_it_cannot_work_with(
    site: Site, start_flask_worker: StartFlaskWorker, state: str
):
    site.server.database.unlink()
    if state == "of version 1":
        make_version_1(site.server.database).close()
    process = start_flask_worker()
    _, log = process.communicate(timeout=20)
    assert process.returncode == 1
    assert str(site.server.database) in log
    assert "Traceback" not in log


# -- older databases ----------------------------------------------------------


def make_version_1(path: Path) -> sqlite3.Connection:
    """Make a database as the first version did."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode = WAL;" + SCRIPTS[0])
    db.execute("INSERT INTO meta VALUES ('schema_version', '1'), ('database_id', 'x')")
    db.commit()
    return db


def test_jobs_that_were_queued_before_there_were_workers_are_rendered(tmp_path: Path, clip: bytes):
    server = Server(tmp_path)
    server.upload_dir.mkdir()
    with closing(make_version_1(server.database)) as db, db:
        db.execute("INSERT INTO job VALUES ('old', 2, 1700000000)")
        for n in range(2):
            (server.upload_dir / f"{n}.mp4").write_bytes(clip)
            values = [f"file{n}", n, f"{n}.mp4", len(clip)]
            db.execute("INSERT INTO job_file VALUES (?, 'old', ?, 'a.mp4', ?, ?, 'queued')", values)
    assert server.init_db().returncode == 0
    site = Site(tmp_path)
    assert server.flask("adopt").returncode == 0  # its folders have no owner yet
    worker = Worker(server).start()
    try:
        site.wait_until("old", "completed")
    finally:
        assert worker.stop() == 0
    site.check_completed("old", 2)
    job = site.show("old")
    assert (job["recipe"], job["seed"]) == ("subtle", 0)
