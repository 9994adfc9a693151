"""What goes, when, and what never does: by a clock of the test's own, and amid all else."""

import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from jobserver import prepare_serving
from jobserver.db import connect, initialise, last_seen, transaction
from jobserver.ids import generate_id
from jobserver.jobs import expiry, store
from jobserver.jobs.expiry import GRACE_S, OWNER_FILE, Clock, Housekeeper, Storage
from tests.disk import fill
from tests.results import Clip, Job, check_owned, ids, make_job, published
from tests.support import (
    MP4_HEAD,
    Site,
    Worker,
    file_part,
    part,
    processes_naming,
    wait_for,
)

AT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
HOUR, DAY, YEAR = 3600.0, 24 * 3600.0, 365 * 24 * 3600.0
GIB = 1024**3
FULL = {"error": "The storage is full of jobs that wait or run; try again"}


@pytest.fixture
def db(site: Site) -> Iterator[sqlite3.Connection]:
    with closing(site.connect()) as db:
        expiry.claim_folders(db, Storage.of(site.app.config))
        yield db


class House:
    """A housekeeper and the two clocks it looks at."""

    def __init__(self, site: Site, now: float = AT, noted: float | None = None) -> None:
        self.now, self.monotonic = now, 500.0
        self._db = site.connect()
        clock = Clock(noted, self.now, self.monotonic)
        self._keeper = Housekeeper(self._db, Storage.of(site.app.config), clock)

    def after(self, seconds: float, jump: float = 0.0) -> None:
        """Let time pass, and the wall clock jump as well; then do a round."""
        self.now += seconds + jump
        self.monotonic += seconds
        self._keeper.round(self.now, self.monotonic)


@pytest.fixture
def house(site: Site, db: sqlite3.Connection) -> House:
    return House(site)


def old(site: Site, *ages: float, **options) -> list[Job]:
    """Make jobs that ended so many seconds before AT."""
    return [make_job(site.server, created_at=AT - age, **options) for age in ages]


def source(size: int, status: str = "completed") -> Clip:
    return Clip(outputs=[], size=size, status=status)


def delete(site: Site, job_id: str):
    return site.client.delete(f"/api/jobs/{job_id}", headers=site.headers)


# -- expiry -------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_job_lives_24_hours_and_not_a_second_longer(site: Site, house: House, status: str):
    make_job(site.server, Clip(status=status), created_at=AT)
    house.after(DAY - 1)
    assert len(ids(site.server)) == 1
    house.after(2)
    assert ids(site.server) == set()
    check_owned(site.server)
    assert site.server.uploads() == {}


def test_a_job_that_ended_later_lives_24_hours_from_then(site: Site, house: House):
    make_job(site.server, created_at=AT - 10 * DAY, ended_at=AT)
    house.after(DAY - 1)
    assert len(ids(site.server)) == 1
    house.after(2)
    assert ids(site.server) == set()


def test_the_last_file_that_ends_counts(site: Site, house: House):
    job = make_job(site.server, Clip(), Clip(), created_at=AT - 10 * DAY, ended_at=AT - 2 * DAY)
    with closing(site.connect()) as db:
        db.execute(
            "UPDATE job_file SET finished_at = ? WHERE job_id = ? AND position = 1", (AT, job.id)
        )
    house.after(DAY - 1)
    assert ids(site.server) == {job.id}
    house.after(2)
    assert ids(site.server) == set()


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_job_that_waits_or_runs_never_expires(site: Site, house: House, status: str):
    make_job(site.server, Clip(status=status), Clip(), created_at=AT - 100 * DAY)
    house.after(60)
    assert len(ids(site.server)) == 1
    check_owned(site.server)


def test_the_status_tells_when(site: Site):
    job = make_job(site.server, created_at=AT - HOUR, ended_at=AT)
    assert site.show(job.id)["expiresAt"] == "2027-01-16T08:00:00.000Z"


def test_the_lifetime_is_a_setting(site: Site, db: sqlite3.Connection):
    site.app.config["JOB_LIFETIME"] = 60
    old(site, 61, 59)
    House(site).after(0)
    assert len(ids(site.server)) == 1


def test_an_expired_job_is_told_from_an_unknown_one_for_a_month(site: Site, house: House):
    (job,) = old(site, 2 * DAY)
    house.after(0)
    assert site.client.get(job.download, headers=site.headers).status_code == 410
    house.after(29 * DAY)
    assert site.client.get(job.download, headers=site.headers).status_code == 410
    house.after(2 * DAY)
    assert site.client.get(job.download, headers=site.headers).status_code == 404


# -- the clock ----------------------------------------------------------------


def test_a_clock_that_jumps_a_year_ahead_deletes_nothing_for_the_grace_time(
    site: Site, house: House, caplog: pytest.LogCaptureFixture
):
    jobs = {job.id for job in old(site, 0, HOUR)}
    house.after(60)
    house.after(60, jump=YEAR)
    assert "the clock jumped by 31536000 s" in caplog.text
    for _ in range(59):
        house.after(60)
    assert ids(site.server) == jobs
    house.after(61)
    assert ids(site.server) == set()


def test_a_clock_set_right_within_the_grace_time_has_cost_nothing(site: Site, house: House):
    jobs = {job.id for job in old(site, 0, HOUR)}
    house.after(60, jump=YEAR)
    house.after(600, jump=-YEAR)
    for _ in range(100):
        house.after(60)
    assert ids(site.server) == jobs


def test_a_clock_set_back_a_day_deletes_nothing_and_neither_does_its_return(
    site: Site, house: House
):
    jobs = {job.id for job in old(site, 0, HOUR)}
    house.after(60, jump=-DAY)
    house.after(2 * GRACE_S)
    assert ids(site.server) == jobs
    house.after(60, jump=DAY)
    assert ids(site.server) == jobs
    house.after(DAY)
    assert ids(site.server) == set()


def test_a_clock_that_is_slewed_is_trusted(site: Site, house: House):
    make_job(site.server, created_at=AT)
    for _ in range(25):
        house.after(HOUR, jump=50)
    assert ids(site.server) == set()


def test_a_start_long_after_the_last_noted_time_waits(site: Site, db: sqlite3.Connection):
    jobs = {job.id for job in old(site, 2 * DAY)}
    house = House(site, noted=AT - YEAR)
    house.after(60)
    assert ids(site.server) == jobs
    house.after(GRACE_S)
    assert ids(site.server) == set()


@pytest.mark.parametrize("noted", [None, AT - 60, AT - GRACE_S + 1, AT + YEAR])
def test_a_start_soon_after_the_last_noted_time_does_not(
    site: Site, db: sqlite3.Connection, noted: float | None
):
    old(site, 2 * DAY)
    House(site, noted=noted).after(0)
    assert ids(site.server) == set()


def test_a_restart_within_the_grace_time_does_not_end_it(site: Site, db: sqlite3.Connection):
    jobs = {job.id for job in old(site, 0)}
    first = House(site)
    first.after(60)
    first.after(60, jump=YEAR)
    second = House(site, now=first.now + 5, noted=last_seen(db))
    second.after(60)
    assert ids(site.server) == jobs


def test_a_round_notes_the_time(site: Site, house: House, db: sqlite3.Connection):
    assert last_seen(db) is None
    house.after(60)
    assert last_seen(db) == AT + 60


# -- the quota and the free space -----------------------------------------------


def test_over_the_quota_the_oldest_go_and_just_as_many_as_must(site: Site, db: sqlite3.Connection):
    jobs = [make_job(site.server, source(1000), created_at=AT - n) for n in (50, 30, 40, 10, 20)]
    site.app.config["STORAGE_QUOTA"] = 3500
    House(site).after(0)
    assert ids(site.server) == {jobs[n].id for n in (1, 3, 4)}
    check_owned(site.server)


def test_at_the_quota_nothing_goes_and_a_byte_over_it_one_does(site: Site, db: sqlite3.Connection):
    first, second = (make_job(site.server, source(1000), created_at=AT - n) for n in (2, 1))
    site.app.config["STORAGE_QUOTA"] = 2000
    House(site).after(0)
    assert ids(site.server) == {first.id, second.id}
    site.app.config["STORAGE_QUOTA"] = 1999
    House(site).after(0)
    assert ids(site.server) == {second.id}


def test_outputs_count_as_well(site: Site, db: sqlite3.Connection):
    make_job(site.server, Clip(outputs=[b"x" * 500, b"y" * 400], size=100), created_at=AT)
    used = site.client.get("/api/storage", headers=site.headers).json["used"]
    assert used == 1000
    site.app.config["STORAGE_QUOTA"] = 999
    House(site).after(0)
    assert ids(site.server) == set()


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_what_waits_or_runs_is_never_evicted(site: Site, db: sqlite3.Connection, status: str):
    waiting = make_job(site.server, source(1000, status), Clip(size=9000), created_at=AT - YEAR)
    make_job(site.server, source(1000), created_at=AT)
    site.app.config["STORAGE_QUOTA"] = 1
    House(site).after(0)
    assert ids(site.server) == {waiting.id}
    check_owned(site.server)


def test_little_free_space_evicts_just_as_many_as_must(site: Site, db: sqlite3.Connection):
    jobs = [
        make_job(site.server, source(10 * GIB), created_at=AT - age) for age in (40, 30, 20, 10)
    ]
    storage = Storage.of(site.app.config)
    site.app.config["MIN_FREE_SPACE"] = storage.free() + 15 * GIB
    House(site).after(0)
    # sparse files free nothing: told by their rows, two were enough, in this round
    assert ids(site.server) == {job.id for job in jobs[2:]}


def test_what_expires_counts_before_anything_is_evicted(site: Site, db: sqlite3.Connection):
    make_job(site.server, source(1000), created_at=AT - 2 * DAY)
    kept = make_job(site.server, source(1000), created_at=AT)
    site.app.config["STORAGE_QUOTA"] = 1000
    House(site).after(0)
    assert ids(site.server) == {kept.id}


def test_what_is_half_removed_counts_as_gone(site: Site, db: sqlite3.Connection):
    marked = make_job(site.server, source(1000), created_at=AT - 10)
    kept = make_job(site.server, source(1000), created_at=AT)
    with transaction(db):
        store.mark_removed(db, marked.id, AT)
    storage = Storage.of(site.app.config)._replace(quota=1000)
    assert expiry.shortage(db, storage) <= 0
    expiry.make_room(db, storage._replace(quota=1500), 500, AT)
    assert ids(site.server) == {kept.id}


def test_an_upload_evicts_what_it_needs(site: Site, db: sqlite3.Connection):
    jobs = [make_job(site.server, source(10_000), created_at=AT - age) for age in (3, 2, 1)]
    site.app.config["STORAGE_QUOTA"] = 31_000
    assert len(site.upload(MP4_HEAD + bytes(5000))) == 22
    assert {job.id for job in jobs} & ids(site.server) == {job.id for job in jobs[1:]}
    check_owned(site.server)


@pytest.mark.parametrize(
    "refused", [part(b"no", "no disposition"), file_part(b"no MP4", type_="text/plain")]
)
def test_an_upload_that_is_refused_evicts_nothing(
    site: Site, db: sqlite3.Connection, refused: bytes
):
    job = make_job(site.server, source(10_000), created_at=AT)
    site.app.config["STORAGE_QUOTA"] = 10_000
    assert site.post(file_part(MP4_HEAD + bytes(5000)), refused).status_code == 400
    assert ids(site.server) == {job.id}
    check_owned(site.server)


def test_an_upload_that_could_never_fit_evicts_nothing(site: Site, db: sqlite3.Connection):
    job = make_job(site.server, source(1000), created_at=AT)
    site.app.config["STORAGE_QUOTA"] = 2000
    answer = site.post(file_part(MP4_HEAD + bytes(5000)))
    said = "This upload is larger than the whole storage (1 KB)"
    assert (answer.status_code, answer.json) == (507, {"error": said})
    assert "Retry-After" not in answer.headers  # waiting would not help
    assert ids(site.server) == {job.id}
    check_owned(site.server)


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_quota_full_of_work_is_a_507_with_retry_after(
    site: Site, db: sqlite3.Connection, status: str
):
    working = make_job(site.server, source(10_000, status))
    site.app.config["STORAGE_QUOTA"] = 12_000
    answer = site.post(file_part(MP4_HEAD + bytes(5000)))
    assert (answer.status_code, answer.json) == (507, FULL)
    assert int(answer.headers["Retry-After"]) > 0
    assert ids(site.server) == {working.id}
    with transaction(db):
        db.execute("UPDATE job_file SET status = 'completed', finished_at = 1")
    assert site.post(file_part(MP4_HEAD + bytes(5000))).status_code == 202
    assert working.id not in ids(site.server)
    check_owned(site.server)


# -- removing, step by step -----------------------------------------------------


def sweep_and_die(database: Path, storage: Storage, step: int) -> None:
    """Do a round in a process of its own that kills itself before its nth step.

    A step is a file or folder removed, a transaction begun or committed.
    """
    steps = iter(range(step))

    def reach(*_: object) -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, _arguments: object) -> None:
        if event in ("os.remove", "os.rmdir"):
            reach()

    sys.addaudithook(audit)
    db = connect(database)
    db.set_trace_callback(lambda sql: reach() if sql.startswith(("BEGIN", "COMMIT")) else None)
    Housekeeper(db, storage, Clock(None, AT, 0)).round(AT, 0)


def test_a_sweep_killed_at_any_step_is_finished_by_the_next(site: Site, db: sqlite3.Connection):
    storage = Storage.of(site.app.config)
    fork, killed, half = multiprocessing.get_context("fork"), 0, 0
    for step in range(100):
        expired = {job.id for job in old(site, 2 * DAY, 3 * DAY)}
        kept = make_job(site.server, Clip(status="queued"), Clip(), created_at=AT - 9 * DAY)
        arguments = (site.server.database, storage, step)
        sweeper = fork.Process(target=sweep_and_die, args=arguments)
        sweeper.start()
        sweeper.join(30)
        killed += sweeper.exitcode == -signal.SIGKILL
        for job_id in expired - ids(site.server):  # hidden as soon as it is marked
            answer = site.client.get(f"/api/jobs/{job_id}/download", headers=site.headers)
            assert answer.status_code == 410
        half += bool(site.rows("SELECT 1 FROM job WHERE removed_at IS NOT NULL"))
        House(site).after(0)
        assert ids(site.server) == {kept.id}
        check_owned(site.server)
        assert delete(site, kept.id).status_code == 200
        if sweeper.exitcode == 0:
            break
    assert sweeper.exitcode == 0
    assert killed == step > 15
    assert half > 10


def test_a_file_that_cannot_be_removed_keeps_its_rows_until_it_can(
    site: Site, house: House, caplog: pytest.LogCaptureFixture
):
    (job,) = old(site, 2 * DAY)
    (name,) = site.server.uploads()
    path = site.upload_dir / name
    path.unlink()
    path.mkdir()  # unlink() refuses a folder
    house.after(0)
    assert "could not be removed yet" in caplog.text
    assert site.rows("SELECT id FROM job") == [(job.id,)]
    assert ids(site.server) == set()
    path.rmdir()
    house.after(60)
    assert site.rows("SELECT id FROM job") == []
    check_owned(site.server)


def test_files_that_are_gone_already_are_no_failure(site: Site, house: House):
    (job,) = old(site, 2 * DAY)
    shutil.rmtree(site.output_dir / job.id)
    for path in site.server.uploads().values():
        path.unlink()
    house.after(0)
    check_owned(site.server)
    assert site.rows("SELECT id FROM job") == []


def test_what_nobody_owns_goes(site: Site, house: House):
    job, running = make_job(site.server), make_job(site.server, Clip(status="processing"))
    (site.upload_dir / f"{generate_id()}.mp4").write_bytes(b"x")
    (site.upload_dir / f"{generate_id()}.part").write_bytes(b"x")
    (site.output_dir / job.id / "not_listed.mp4").write_bytes(b"x")
    (site.output_dir / job.id / ".unknown.1").mkdir()
    gone = site.output_dir / ("g" * 22) / ".file.1"  # a worker had not noticed the removal
    gone.mkdir(parents=True)
    living = site.output_dir / running.id / "about_to_be_listed.mp4"
    living.write_bytes(b"x")
    house.after(0)
    assert living.exists()
    living.unlink()
    check_owned(site.server)


@pytest.mark.parametrize("name", ["lost+found", "notes.txt", ".snapshots"])
def test_what_is_none_of_ours_stays_in_output_dir(site: Site, house: House, name: str):
    (site.output_dir / name).mkdir()
    house.after(0)
    assert (site.output_dir / name).exists()


def test_an_output_whose_file_is_gone_is_no_longer_listed(site: Site, house: House):
    job = make_job(site.server, created_at=AT)
    job.paths[0].unlink()
    job.paths[0].with_suffix(".webp").unlink()
    house.after(0)
    outputs = site.show(job.id)["files"][0]["outputs"]
    assert [each["id"] for each in outputs] == job.outputs[1:]
    check_owned(site.server)


def test_outputs_stay_listed_while_their_whole_disk_is_away(site: Site, house: House):
    job = make_job(site.server, created_at=AT)
    aside = site.output_dir.with_name("aside")
    site.output_dir.rename(aside)
    site.output_dir.mkdir()  # the mount point
    house.after(0)
    site.output_dir.rmdir()
    aside.rename(site.output_dir)
    house.after(60)
    assert len(site.show(job.id)["files"][0]["outputs"]) == 2
    check_owned(site.server)


# -- whose files they are --------------------------------------------------------


def lost(site: Site) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{site.server.database}{suffix}").unlink(missing_ok=True)
    initialise(site.server.database)


def of_uploads(site: Site) -> None:
    (site.upload_dir / OWNER_FILE).write_text("another")


def of_outputs(site: Site) -> None:
    (site.output_dir / OWNER_FILE).write_text("another")


def unmarked_uploads(site: Site) -> None:
    (site.upload_dir / OWNER_FILE).unlink()


def unmarked_outputs(site: Site) -> None:
    (site.output_dir / OWNER_FILE).unlink()


def files_below(site: Site) -> set[Path]:
    return {*site.upload_dir.rglob("*"), *site.output_dir.rglob("*")}


@pytest.mark.parametrize(
    "exchange", [lost, of_uploads, of_outputs, unmarked_uploads, unmarked_outputs]
)
def test_a_lost_or_foreign_database_removes_nothing_and_says_so(
    site: Site,
    db: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
    exchange: Callable[[Site], None],
):
    jobs = old(site, 2 * DAY, 3 * DAY)
    (site.upload_dir / f"{generate_id()}.mp4").write_bytes(b"x")
    (site.output_dir / jobs[0].id / "orphan.mp4").write_bytes(b"x")
    db.close()
    exchange(site)
    before, rows = files_below(site), ids(site.server)
    site.app.config["STORAGE_QUOTA"] = 1
    House(site).after(0)
    assert files_below(site) == before
    assert ids(site.server) == rows
    assert "does not hold the files of this database; nothing is removed" in caplog.text
    health = site.client.get("/api/health")
    assert (health.status_code, health.json["status"]) == (503, "error")
    folder = "OUTPUT_DIR" if exchange in (of_outputs, unmarked_outputs) else "UPLOAD_DIR"
    assert health.json["error"].startswith(f"{folder} does not hold the files of this database")
    assert site.post(file_part(MP4_HEAD)).status_code == 503
    assert files_below(site) == before


def test_a_job_is_not_deleted_while_a_folder_is_foreign(site: Site, db: sqlite3.Connection):
    job = make_job(site.server, Clip(status="queued"))
    mine = (site.output_dir / OWNER_FILE).read_text()
    of_outputs(site)
    assert delete(site, job.id).status_code == 503
    assert site.show(job.id)["status"] == "queued"
    (site.output_dir / OWNER_FILE).write_text(mine)
    assert delete(site, job.id).status_code == 200
    assert not job.paths[0].exists()
    check_owned(site.server)


def test_a_volume_that_is_not_mounted_is_not_taken_for_a_new_one(
    site: Site, db: sqlite3.Connection
):
    kept = make_job(site.server)
    for folder in (site.upload_dir, site.output_dir):
        folder.rename(folder.with_name("away"))
        folder.mkdir()
        prepare_serving(site.app)
        assert list(folder.iterdir()) == []
        assert site.client.get("/api/health").status_code == 503
        assert site.post(file_part(MP4_HEAD)).status_code == 503
        House(site).after(0)
        folder.rmdir()
        folder.with_name("away").rename(folder)
        assert site.client.get("/api/health").status_code == 200
    check_owned(site.server)
    assert ids(site.server) == {kept.id}


def test_a_delete_and_a_retry_at_once_leave_no_job(site: Site, db: sqlite3.Connection):
    for _ in range(20):
        job = make_job(site.server, Clip(outputs=[], status="failed"))
        answers: dict[str, int] = {}

        def order(what: str, job: Job = job, answers: dict[str, int] = answers) -> None:
            answer = delete(site, job.id) if what == "delete" else site.order(job.id, what)
            answers[what] = answer.status_code

        at_once(partial(order, "delete"), partial(order, "retry"))
        assert answers["delete"] == 200
        assert answers["retry"] in (202, 404, 409)
        assert ids(site.server) == set()
    check_owned(site.server)


def test_a_new_volume_with_lost_and_found_becomes_ours(site: Site):
    site.upload_dir.mkdir(exist_ok=True)
    (site.upload_dir / "lost+found").mkdir()
    (site.output_dir / f"{OWNER_FILE}.0123").write_text("")  # a killed start's
    with closing(site.connect()) as db:
        expiry.claim_folders(db, Storage.of(site.app.config))
        for folder in (site.upload_dir, site.output_dir):
            assert not expiry.is_foreign(db, folder)
            assert (folder / OWNER_FILE).exists()
    assert site.client.get("/api/health").status_code == 200


def test_a_folder_with_files_of_nobody_known_is_not_claimed(site: Site):
    (site.output_dir / OWNER_FILE).unlink()
    (site.output_dir / "holiday.mp4").write_bytes(b"x")
    with closing(site.connect()) as db:
        expiry.claim_folders(db, Storage.of(site.app.config))
    assert not (site.output_dir / OWNER_FILE).exists()


# -- at once ----------------------------------------------------------------------


def at_once(*actions: Callable[[], None]) -> None:
    """Run all in threads that begin together; fail with the first of their errors."""
    barrier, errors = threading.Barrier(len(actions)), []

    def run(action: Callable[[], None]) -> None:
        barrier.wait()
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_two_sweepers_at_once_remove_each_job_once(site: Site, db: sqlite3.Connection):
    kept = make_job(site.server, created_at=AT)
    old(site, *(2 * DAY + n for n in range(30)))

    def sweep() -> None:
        House(site).after(0)

    at_once(sweep, sweep, sweep)
    sweep()  # what one left because another was at it
    assert ids(site.server) == {kept.id}
    check_owned(site.server)
    assert site.rows("SELECT COUNT(*) FROM expired_job") == [(30,)]


def test_two_that_make_room_at_once_evict_no_more_than_is_needed(
    site: Site, db: sqlite3.Connection
):
    for age in range(30):
        make_job(site.server, source(1000), created_at=AT - age)
    storage = Storage.of(site.app.config)._replace(quota=15_500)

    def evict() -> None:
        with closing(site.connect()) as own:
            expiry.make_room(own, storage, 0, AT)

    at_once(evict, evict, evict, evict)
    assert len(ids(site.server)) == 15
    House(site).after(0)
    check_owned(site.server)


def test_expiry_amid_uploads_claims_downloads_cancels_retries_and_deletes(
    site: Site, db: sqlite3.Connection
):
    end = time.monotonic() + 2
    statuses: set[tuple[str, int]] = set()
    promised: set[str] = set()

    def repeat(action: Callable[[], None]) -> Callable[[], None]:
        def repeated() -> None:
            while time.monotonic() < end:
                action()

        return repeated

    def note(what: str, answer) -> None:
        statuses.add((what, answer.status_code))
        answer.close()

    def upload() -> None:
        answer = site.post(file_part(MP4_HEAD + bytes(500)))
        note("upload", answer)
        promised.add(answer.json["jobId"])

    def claim() -> None:
        with closing(site.connect()) as own:
            if (file := store.claim(own, "worker", 30.0, time.time())) is None:
                return
            try:
                output = published(site.output_dir / file["job_id"], file, 1, b"output")
            except FileNotFoundError:  # deleted just now
                return
            with transaction(own):
                if store.let_go(own, file, 1.0, True, time.time()):
                    store.insert_outputs(own, file, [output], time.time())

    def look() -> None:
        jobs = site.client.get("/api/jobs?limit=5", headers=site.headers).json
        for job in jobs:
            for what in ("download", "cancel", "retry"):
                method = "GET" if what == "download" else "POST"
                path = f"/api/jobs/{job['id']}/{what}"
                note(what, site.client.open(path, method=method, headers=site.headers))
        if jobs:
            note("delete", delete(site, jobs[-1]["id"]))

    def expire() -> None:
        with closing(site.connect()) as own:
            storage = Storage.of(site.app.config)._replace(lifetime_s=0)
            chosen = expiry.too_old(own, storage, time.time())
            expiry.remove_all(own, storage, chosen, time.time())
            expiry.sweep_uploads(own, storage.uploads)
            expiry.sweep_outputs(own, storage.outputs)

    at_once(*map(repeat, (upload, claim, look, look, expire, expire)))
    House(site, now=time.time()).after(0)
    check_owned(site.server)
    assert {code for _, code in statuses} <= {200, 202, 404, 409, 410}
    assert {("upload", 202), ("download", 200), ("delete", 200)} <= statuses
    known = {
        job_id for (job_id,) in site.rows("SELECT id FROM job UNION SELECT id FROM expired_job")
    }
    assert promised <= known  # none was lost without having ended or been deleted


# -- DELETE -------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "completed", "failed", "cancelled"])
def test_delete_removes_a_job_now(site: Site, db: sqlite3.Connection, status: str):
    job, other = make_job(site.server, Clip(status=status)), make_job(site.server)
    answer = delete(site, job.id)
    assert (answer.status_code, answer.json) == (200, {"jobId": job.id, "status": "deleted"})
    assert ids(site.server) == {other.id}
    check_owned(site.server)
    assert delete(site, job.id).status_code == 404


def test_delete_of_an_unknown_job_is_a_404(site: Site):
    answer = delete(site, "unknown")
    assert (answer.status_code, answer.json) == (404, {"error": "Job not found"})


def test_delete_of_a_running_job_ends_its_ffmpeg(
    site: Site, start_worker: Callable[..., Worker], long_clip: bytes
):
    job_id = site.upload(long_clip, variations="2")
    worker = start_worker(ENCODER_PRESET="placebo")
    wait_for(lambda: site.show(job_id)["progress"] > 0, 30, worker.log())
    assert ffmpegs(site)
    assert delete(site, job_id).status_code == 200
    wait_for(lambda: not ffmpegs(site), 10, "the end of its ffmpeg")
    wait_for(lambda: not list(site.output_dir.glob("*/.*/*")), 10, "an empty folder")
    House(site, now=time.time()).after(0)
    check_owned(site.server)
    assert worker.stop() == 0
    assert "Traceback" not in worker.log()
    other = site.upload(long_clip[:100])  # the worker was unharmed; its successor is at work
    start_worker()
    site.wait_until(other, "failed")


def ffmpegs(site: Site) -> list[int]:
    return processes_naming(site.output_dir)


def test_the_worker_expires_by_itself(
    site: Site, start_worker: Callable[..., Worker], db: sqlite3.Connection
):
    make_job(site.server, created_at=time.time() - 2 * DAY)
    start_worker()
    wait_for(lambda: not site.rows("SELECT id FROM job"), 20, "its first round")
    check_owned(site.server)


# -- a disk that is really full ----------------------------------------------------------


@pytest.mark.tools
@pytest.mark.parametrize("small_disk", [6], indirect=True)  # for all there is
@pytest.mark.parametrize("database_too", [False, True])
def test_a_full_disk_refuses_uploads_puts_renders_off_and_harms_nothing(
    tmp_path: Path, small_disk: Path, clip: bytes, database_too: bool
):
    folders = {"UPLOAD_DIR": str(small_disk / "uploads"), "OUTPUT_DIR": str(small_disk / "outputs")}
    site = Site(small_disk) if database_too else Site(tmp_path, **folders)
    site.server.upload_dir = site.upload_dir = Path(folders["UPLOAD_DIR"])
    done = make_job(site.server)
    job_id = site.upload(clip, variations="2")
    filler = small_disk / "filler"
    fill(filler)
    assert site.post(file_part(MP4_HEAD + bytes(100_000))).status_code == 507
    worker = Worker(site.server)
    worker.log_path = tmp_path / "worker.log"  # elsewhere: it shall say what it met
    worker.start()
    try:
        said = "disk is full" if database_too else "The disk is full|No space left"
        wait_for(lambda: re.search(said, worker.log()), 20, "a full disk in the log")
        assert site.show(job_id)["status"] in ("queued", "processing")
        assert site.client.get(done.output(), headers=site.headers).status_code == 200
        filler.unlink()
        site.wait_until(job_id, "completed", 40)
    finally:
        worker.stop()
    assert len(site.show(job_id)["files"][0]["outputs"]) == 2
    assert site.show(job_id)["files"][0]["sha256"]
    assert site.show(job_id)["files"][0]["thumbnailUrl"]
    check_owned(site.server)
    assert "Traceback" not in worker.log()
