"""A disk without a byte left: everything that removes goes on, over restarts, and heals itself."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.ids import generate_id
from jobserver.jobs import queue
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from tests.disk import fill
from tests.results import Clip, make_job
from tests.support import MP4_HEAD, Server, Worker, wait_for

pytestmark = pytest.mark.tools

DAY = 24 * 3600.0
NO_SPACE = {"error": "Not enough disk space for this upload", "code": "insufficient_storage"}


@pytest.fixture
def full_disk(small_disk: Path, own_server: Server) -> Iterator[Server]:
    """A server, not started, whose database lies on a small disk; its folders are elsewhere."""
    own_server.database = small_disk / "db.sqlite3"
    own_server.settings["DATABASE"] = str(own_server.database)
    assert own_server.init_db().returncode == 0
    yield own_server
    own_server.stop()


def log_of(server: Server) -> Path:
    return Path(f"{server.database}-wal")


def reserve_of(server: Server) -> Path:
    return Path(f"{server.database}-reserve")


def filled(server: Server) -> None:
    """Leave no byte, and a log without one."""
    with closing(db.connect(server.database)) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert log_of(server).stat().st_size == 0
        fill(server.database.with_name("filler"))


def delete_all(server: Server, jobs: list[str]) -> list[int]:
    return [
        server.request("DELETE", f"/api/jobs/{job}", headers=server.bearer(server.token)).status
        for job in jobs
    ]


def test_every_delete_on_a_full_disk_with_a_fresh_log_works(full_disk: Server) -> None:
    server = full_disk.start()
    jobs = []
    while len(jobs) < 160:
        jobs += [make_job(server).id for _ in range(10)]
        with closing(db.connect(server.database)) as database:  # the server has it open as well
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert server.token
    filled(server)
    assert delete_all(server, jobs) == [200] * 160
    assert server.rows("SELECT id FROM job") == []
    server.check_sound()


# -- over restarts ------------------------------------------------------------------------


def refill(server: Server) -> None:
    """Take what was left or given back since."""
    disk = server.database.parent
    fill(disk / f"filler{len(list(disk.iterdir()))}")


def stop(server: Server) -> None:
    """A clean stop, after which SQLite has deleted its log; the last to close does that."""
    server.stop()
    with closing(db.connect(server.database)) as database:
        assert database.value("SELECT COUNT(*) FROM job")
    assert not log_of(server).exists()


@pytest.mark.parametrize("end", [stop, Server.kill], ids=["stop", "kill"])
def test_after_restarts_on_a_full_disk_everything_but_uploads_works(
    full_disk: Server, end: Callable[[Server], None]
) -> None:
    server = full_disk.start()
    jobs = [make_job(server).id for _ in range(3)]
    waiting = [make_job(server, Clip(outputs=[], status="queued")).id for _ in range(2)]
    filled(server)
    for gone, cancelled in zip(jobs[:2], waiting, strict=True):
        end(server)
        refill(server)
        server.start()
        refill(server)
        assert server.sign_in().status == 200
        assert server.get(f"/api/jobs/{jobs[-1]}", server.token).json["status"] == "completed"
        assert len(server.get("/api/jobs", server.token).json) == 5 - jobs.index(gone)
        assert server.get("/api/health").status == 200
        url = f"/api/jobs/{cancelled}/cancel"
        assert server.request("POST", url, headers=server.bearer(server.token)).status == 200
        assert delete_all(server, [gone]) == [200]
        uploaded = server.upload(MP4_HEAD)
        assert (uploaded.status, uploaded.json) == (507, NO_SPACE)
    server.check_sound(allowed_5xx=(507,))


def sweep(server: Server) -> None:
    done = server.flask("sweep")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed 120 jobs" in done.stdout


def work(server: Server) -> None:
    worker = Worker(server).start()
    wait_for(lambda: job_ids(server) == [], 20, worker.log())
    assert worker.stop() == 0
    assert "Traceback" not in worker.log()


@pytest.mark.parametrize("expire", [sweep, work])
def test_jobs_expire_on_a_full_disk_after_a_clean_stop(
    full_disk: Server, expire: Callable[[Server], None]
) -> None:
    assert full_disk.flask("sweep").returncode == 0  # makes the folders this database's
    add_expired(full_disk, 120)  # more than go in one transaction
    assert reserve_of(full_disk).stat().st_size == whole(full_disk)
    filled(full_disk)
    refill(full_disk)
    expire(full_disk)
    refill(full_disk)
    assert full_disk.flask("sweep").stdout == "Removed 0 jobs and 0 leftovers.\n"
    assert job_ids(full_disk) == []


def job_ids(server: Server) -> list[str]:
    with closing(db.connect(server.database)) as database:
        return database.column("SELECT id FROM job")


def add_expired(server: Server, count: int) -> None:
    """Add rows of jobs of yesterday; there are no files of them."""
    long_ago = time.time() - 2 * DAY
    with closing(db.connect(server.database)) as database:
        database.reserve.restore()
        with db.exclusive(database, "quota"):
            for _ in range(count):
                file = NewFile(generate_id(), "clip.mp4", f"{generate_id()}.mp4", 100)
                draft = JobDraft(generate_id(), [file], JobOptions(5, "subtle", 7))
                queue.insert_job(database, draft, long_ago)
            database.write("UPDATE job_file SET status = 'failed'")


# -- once there is space again --------------------------------------------------------------


def upload(server: Server) -> None:
    assert server.upload(MP4_HEAD).status == 202


def restart(server: Server) -> None:
    server.stop()
    server.start()


def work_idly(server: Server) -> None:
    worker = Worker(server).start()
    wait_for(lambda: reserve_of(server).stat().st_size >= whole(server), 20, worker.log())
    assert worker.stop() == 0


def whole(server: Server) -> int:
    disk = os.statvfs(server.database.parent)
    return disk.f_blocks * disk.f_frsize // 8


@pytest.mark.parametrize("restore", [upload, restart, work_idly])
def test_the_reserve_is_made_whole_once_there_is_space(
    full_disk: Server, restore: Callable[[Server], None]
) -> None:
    server = full_disk.start()
    assert reserve_of(server).stat().st_size == whole(server)
    assert reserve_of(server).stat().st_mode & 0o777 == 0o600
    jobs = [make_job(server).id for _ in range(2)]
    assert server.token
    filled(server)
    assert delete_all(server, jobs) == [200, 200]
    assert reserve_of(server).stat().st_size < whole(server)
    uploaded = server.upload(MP4_HEAD)
    assert (uploaded.status, uploaded.json) == (507, NO_SPACE)
    server.database.with_name("filler").unlink()
    restore(server)
    assert reserve_of(server).stat().st_size == whole(server)
    upload(server)
    server.check_sound(allowed_5xx=(507,))
