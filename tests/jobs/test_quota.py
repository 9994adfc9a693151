"""Room: counted, reserved, evicted; a full disk harms nothing."""

import re
import threading
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db import Connection, exclusive
from jobserver.errors import InsufficientStorage, LargerThanQuota, QuotaExceeded, StorageUnavailable
from jobserver.files.root import OWNER_FILE, LocalRoot
from jobserver.files.store import Store
from jobserver.jobs import ownership, quota, retention
from jobserver.jobs.quota import SpaceLimits
from jobserver.jobs.retention import EndedJob
from tests.disk import fill
from tests.jobs import steps
from tests.jobs.house import AT, DAY, YEAR, House, run_at_once, source
from tests.results import Clip, check_owned, ids, make_job
from tests.support import MP4_HEAD, Site, Worker, file_part, part, wait_for

pytestmark = pytest.mark.both_databases

GIB = 1024**3
FULL = {
    "error": "The storage is full of jobs that wait or run; try again",
    "code": "quota_exceeded",
}


# -- the quota ----------------------------------------------------------------------------


def test_over_the_quota_the_oldest_go_and_just_as_many_as_must(site: Site) -> None:
    jobs = [make_job(site.server, source(1000), created_at=AT - n) for n in (50, 30, 40, 10, 20)]
    site.change_settings(storage_quota=3500)
    House(site).after(0)
    assert ids(site.server) == {jobs[n].id for n in (1, 3, 4)}
    check_owned(site.server)


def test_at_the_quota_nothing_goes_and_a_byte_over_it_one_does(site: Site) -> None:
    first, second = (make_job(site.server, source(1000), created_at=AT - n) for n in (2, 1))
    site.change_settings(storage_quota=2000)
    House(site).after(0)
    assert ids(site.server) == {first.id, second.id}
    site.change_settings(storage_quota=1999)
    House(site).after(0)
    assert ids(site.server) == {second.id}


def test_without_a_quota_nothing_is_evicted(site: Site, site_db: Connection) -> None:
    job = make_job(site.server, source(2**33), created_at=AT)
    assert quota.bytes_to_free(site_db, site.store, SpaceLimits(0, 0)) <= 0
    House(site).after(0)
    assert ids(site.server) == {job.id}


def test_outputs_count_as_well(site: Site, site_db: Connection) -> None:
    make_job(site.server, Clip(outputs=[b"x" * 500, b"y" * 400], size=100), created_at=AT)
    assert quota.used_bytes(site_db) == 1000
    used = site.client.get("/api/storage", headers=site.headers).json["used"]
    assert used == 1000
    site.change_settings(storage_quota=999)
    House(site).after(0)
    assert ids(site.server) == set()


def test_shots_count_as_well_and_go_with_their_job(db: Connection, store: Store) -> None:
    ownership.adopt_unowned(db, store)
    steps.insert_draft(db, steps.brief_draft("job"), AT)
    uploads = 100 + 101 + 102 + 103
    steps.insert_shot(db, steps.claim(db), "a", size=5000)
    assert quota.used_bytes(db) == uploads + 5000
    steps.cancel(db, "job")
    assert [job.size for job in retention.ended_jobs(db)] == [uploads + 5000]
    with exclusive(db, "queue"):
        retention.mark(db, ["job"], AT)
    assert (quota.used_bytes(db), quota.marked_bytes(db)) == (0, uploads + 5000)
    assert retention.remove_marked(db, store, AT) == 1
    assert db.column("SELECT key FROM shot") == []


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_what_waits_or_runs_is_never_evicted(site: Site, status: str) -> None:
    waiting = make_job(site.server, source(1000, status), Clip(size=9000), created_at=AT - YEAR)
    make_job(site.server, source(1000), created_at=AT)
    site.change_settings(storage_quota=1)
    House(site).after(0)
    assert ids(site.server) == {waiting.id}
    check_owned(site.server)


def test_what_expires_counts_before_anything_is_evicted(site: Site) -> None:
    make_job(site.server, source(1000), created_at=AT - 2 * DAY)
    kept = make_job(site.server, source(1000), created_at=AT)
    site.change_settings(storage_quota=1000)
    House(site).after(0)
    assert ids(site.server) == {kept.id}


@pytest.mark.parametrize(
    ("missing", "chosen"),
    [(0, ""), (-5, ""), (1, "a"), (10, "a"), (11, "ab"), (30, "ab"), (31, "abc"), (999, "abc")],
)
def test_just_as_many_are_chosen_as_free_what_is_missing(missing: int, chosen: str) -> None:
    ended = [EndedJob(job_id, 0, 0, size) for job_id, size in (("a", 10), ("b", 20), ("c", 5))]
    assert "".join(job.id for job in quota.choose_evictions(ended, missing)) == chosen


def test_what_is_half_removed_counts_as_gone(site: Site, site_db: Connection) -> None:
    marked = make_job(site.server, source(1000), created_at=AT - 10)
    kept = make_job(site.server, source(1000), created_at=AT)
    with exclusive(site_db, "queue"):
        retention.mark(site_db, [marked.id], AT)
    assert (quota.used_bytes(site_db), quota.marked_bytes(site_db)) == (1000, 1000)
    assert quota.bytes_to_free(site_db, site.store, SpaceLimits(1000, 0)) <= 0
    with exclusive(site_db, "quota"):
        assert quota.reserve(site_db, SpaceLimits(1500, 0), 500, AT) == 0
    assert ids(site.server) == {kept.id}


# -- the free space -----------------------------------------------------------------------


def test_little_free_space_evicts_just_as_many_as_must(site: Site) -> None:
    jobs = [
        make_job(site.server, source(10 * GIB), created_at=AT - age) for age in (40, 30, 20, 10)
    ]
    site.change_settings(min_free_space=site.store.free() + 15 * GIB)
    House(site).after(0)
    # sparse files free nothing: by their rows two were enough, in this round
    assert ids(site.server) == {job.id for job in jobs[2:]}


@pytest.fixture
def free_space(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many bytes both disks have left; a test changes it."""
    space = {"free": 10_000}
    monkeypatch.setattr(LocalRoot, "free", lambda root: space["free"])
    return space


def test_the_space_that_is_missing_is_counted_to_the_byte(
    site: Site, site_db: Connection, free_space: dict[str, int]
) -> None:
    limits = SpaceLimits(0, 4000)
    for incoming, missing in ((5999, 0), (6000, 0), (6001, 1), (10_000, 4000)):
        assert quota.disk_bytes_to_free(site_db, site.store, limits, incoming) == missing
    free_space["free"] = 3000
    assert quota.bytes_to_free(site_db, site.store, limits) == 1000
    marked = make_job(site.server, source(700))
    with exclusive(site_db, "queue"):
        retention.mark(site_db, [marked.id], AT)
    assert quota.bytes_to_free(site_db, site.store, limits) == 300


def test_an_upload_for_which_the_disk_has_no_room_evicts_what_it_needs(
    site: Site, site_db: Connection, free_space: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job(site.server, source(1000), created_at=AT - age) for age in (3, 2, 1)]
    site.change_settings(min_free_space=5000)
    delete_job = site.store.delete_job

    def delete_and_free(job_id: str) -> None:
        delete_job(job_id)
        free_space["free"] += 1000

    monkeypatch.setattr(site.store, "delete_job", delete_and_free)
    limits = SpaceLimits(0, 5000)
    quota.make_room(site_db, site.store, limits, 5000, now=AT)
    assert len(ids(site.server)) == 3
    quota.make_room(site_db, site.store, limits, 6500, now=AT)
    assert ids(site.server) == {jobs[2].id}
    check_owned(site.server)


def test_an_upload_that_no_eviction_makes_room_for_evicts_nothing(
    site: Site, site_db: Connection, free_space: dict[str, int]
) -> None:
    jobs = {make_job(site.server, source(1000)).id for _ in range(3)}
    site.change_settings(min_free_space=5000)
    with pytest.raises(InsufficientStorage, match="Not enough disk space"):
        quota.make_room(site_db, site.store, SpaceLimits(0, 5000), 8001, now=AT)
    assert ids(site.server) == jobs


def test_a_disk_that_stays_full_after_an_eviction_refuses_the_upload(
    site: Site, site_db: Connection, free_space: dict[str, int]
) -> None:
    """Another program took the space, or a download still reads what was deleted."""
    make_job(site.server, source(1000))
    site.change_settings(min_free_space=5000)
    with pytest.raises(InsufficientStorage, match="Not enough disk space"):
        quota.make_room(site_db, site.store, SpaceLimits(0, 5000), 5500, now=AT)


def test_no_room_is_made_in_the_folders_of_another_database(
    site: Site, site_db: Connection
) -> None:
    make_job(site.server, source(1000))
    (site.output_dir / OWNER_FILE).write_text("another")
    with pytest.raises(StorageUnavailable):
        quota.make_room(site_db, site.store, SpaceLimits(0, 0), 0, now=AT)


# -- uploads ------------------------------------------------------------------------------


def test_an_upload_evicts_what_it_needs(site: Site) -> None:
    jobs = [make_job(site.server, source(10_000), created_at=AT - age) for age in (3, 2, 1)]
    site.change_settings(storage_quota=31_000)
    assert len(site.upload(MP4_HEAD + bytes(5000))) == 22
    assert {job.id for job in jobs} & ids(site.server) == {job.id for job in jobs[1:]}
    check_owned(site.server)


@pytest.mark.parametrize(
    "refused", [part(b"no", "no disposition"), file_part(b"no MP4", type_="text/plain")]
)
def test_an_upload_that_is_refused_evicts_nothing(site: Site, refused: bytes) -> None:
    job = make_job(site.server, source(10_000), created_at=AT)
    site.change_settings(storage_quota=10_000)
    assert site.post(file_part(MP4_HEAD + bytes(5000)), refused).status_code == 400
    assert ids(site.server) == {job.id}
    check_owned(site.server)


def test_an_upload_that_could_never_fit_evicts_nothing(site: Site) -> None:
    job = make_job(site.server, source(1000), created_at=AT)
    site.change_settings(storage_quota=2000)
    answer = site.post(file_part(MP4_HEAD + bytes(5000)))
    said = "This upload is larger than the whole storage (1 KB)"
    assert (answer.status_code, answer.json) == (507, {"error": said, "code": "larger_than_quota"})
    assert "Retry-After" not in answer.headers  # waiting would not help
    assert ids(site.server) == {job.id}
    check_owned(site.server)


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_quota_full_of_work_is_a_507_with_retry_after(
    site: Site, site_db: Connection, status: str
) -> None:
    working = make_job(site.server, source(10_000, status))
    site.change_settings(storage_quota=12_000)
    answer = site.post(file_part(MP4_HEAD + bytes(5000)))
    assert (answer.status_code, answer.json) == (507, FULL)
    assert int(answer.headers["Retry-After"]) > 0
    assert ids(site.server) == {working.id}
    with exclusive(site_db, "queue"):
        site_db.write("UPDATE job_file SET status = 'completed', finished_at = 1")
    assert site.post(file_part(MP4_HEAD + bytes(5000))).status_code == 202
    assert working.id not in ids(site.server)
    check_owned(site.server)


@pytest.mark.parametrize(
    ("incoming", "error"), [(2001, LargerThanQuota), (1500, QuotaExceeded), (1000, None)]
)
def test_a_reservation_is_granted_or_marks_nothing(
    site: Site, site_db: Connection, incoming: int, error: type[Exception] | None
) -> None:
    working = make_job(site.server, source(1000, "queued"))
    ended = make_job(site.server, source(900))

    def reserve() -> int:
        with exclusive(site_db, "quota"):
            return quota.reserve(site_db, SpaceLimits(2000, 0), incoming, AT)

    if error is None:
        assert reserve() == 1
        assert ids(site.server) == {working.id}
    else:
        with pytest.raises(error):
            reserve()
        assert ids(site.server) == {working.id, ended.id}


# -- at once ------------------------------------------------------------------------------


def test_two_that_make_room_at_once_evict_no_more_than_is_needed(site: Site) -> None:
    for age in range(30):
        make_job(site.server, source(1000), created_at=AT - age)

    def evict() -> None:
        with closing(site.connect()) as own:
            quota.evict(own, site.store, SpaceLimits(15_500, 0), now=AT)

    run_at_once(evict, evict, evict, evict)
    assert len(ids(site.server)) == 15
    House(site).after(0)
    check_owned(site.server)


def test_uploads_at_once_never_exceed_the_quota_together(site: Site, site_db: Connection) -> None:
    site.change_settings(storage_quota=16_000)
    answers: list[int] = []
    lock = threading.Lock()

    def upload() -> None:
        answer = site.post(file_part(MP4_HEAD + bytes(3000 - len(MP4_HEAD))))
        with lock:
            answers.append(answer.status_code)

    run_at_once(*[upload] * 8)
    assert sorted(set(answers)) == [202, 507]
    assert answers.count(202) == 5
    assert quota.used_bytes(site_db) == 15_000
    check_owned(site.server)


# -- a disk that is really full -----------------------------------------------------------


@pytest.mark.tools
@pytest.mark.parametrize("small_disk", [6], indirect=True)  # for all there is
@pytest.mark.parametrize("database_too", [False, True])
def test_a_full_disk_refuses_uploads_puts_renders_off_and_harms_nothing(
    tmp_path: Path, small_disk: Path, clip: bytes, database_too: bool
) -> None:
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
        said = "disk is full" if database_too else "no space for outputs"
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
