"""How long jobs are kept, which may be deleted, and DELETE."""

import time
from collections.abc import Callable

import pytest

from jobserver.db import Connection, exclusive
from jobserver.jobs import queries, queue, retention
from jobserver.jobs.model import expires_at
from jobserver.jobs.retention import EndedJob
from tests.jobs.house import (
    AT,
    DAY,
    HOUR,
    House,
    check_events,
    delete,
    make_aged_jobs,
)
from tests.results import Clip, check_owned, ids, make_job
from tests.support import Site, Worker, processes_naming, wait_for

pytestmark = pytest.mark.both_databases

# -- how long -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_job_lives_24_hours_and_not_a_second_longer(
    site: Site, house: House, status: str
) -> None:
    make_job(site.server, Clip(status=status), created_at=AT)
    house.after(DAY - 1)
    assert len(ids(site.server)) == 1
    house.after(2)
    assert ids(site.server) == set()
    check_owned(site.server)
    assert site.server.uploads() == {}


def test_a_job_that_ended_later_lives_24_hours_from_then(site: Site, house: House) -> None:
    make_job(site.server, created_at=AT - 10 * DAY, ended_at=AT)
    house.after(DAY - 1)
    assert len(ids(site.server)) == 1
    house.after(2)
    assert ids(site.server) == set()


def test_the_last_file_that_ends_counts(site: Site, house: House, site_db: Connection) -> None:
    job = make_job(site.server, Clip(), Clip(), created_at=AT - 10 * DAY, ended_at=AT - 2 * DAY)
    site_db.execute(
        "UPDATE job_file SET finished_at = :at WHERE job_id = :id AND position = 1",
        {"at": AT, "id": job.id},
    )
    house.after(DAY - 1)
    assert ids(site.server) == {job.id}
    house.after(2)
    assert ids(site.server) == set()


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_job_that_waits_or_runs_never_expires(site: Site, house: House, status: str) -> None:
    make_job(site.server, Clip(status=status), Clip(), created_at=AT - 100 * DAY)
    house.after(60)
    assert len(ids(site.server)) == 1
    check_owned(site.server)


def test_the_status_says_when_a_job_expires(site: Site) -> None:
    job = make_job(site.server, created_at=AT - HOUR, ended_at=AT)
    assert site.show(job.id)["expiresAt"] == "2027-01-16T08:00:00.000Z"


@pytest.mark.parametrize(
    ("finished_at", "expires"), [(None, 160.0), (50.0, 160.0), (100.0, 160.0), (130.5, 190.5)]
)
def test_a_lifetime_begins_with_the_job_or_with_its_end(
    finished_at: float | None, expires: float
) -> None:
    assert expires_at(100.0, finished_at, 60.0) == expires


def test_the_lifetime_is_a_setting(site: Site) -> None:
    site.change_settings(job_lifetime=60)
    make_aged_jobs(site, 61, 59)
    House(site).after(0)
    assert len(ids(site.server)) == 1


def test_an_expired_job_differs_from_an_unknown_one_for_a_month(site: Site, house: House) -> None:
    (job,) = make_aged_jobs(site, 2 * DAY)
    house.after(0)
    assert site.client.get(job.download, headers=site.headers).status_code == 410
    house.after(29 * DAY)
    assert site.client.get(job.download, headers=site.headers).status_code == 410
    house.after(2 * DAY)
    assert site.client.get(job.download, headers=site.headers).status_code == 404


def test_ended_jobs_come_with_their_bytes_the_first_to_end_before_the_others(
    site: Site, site_db: Connection
) -> None:
    late, early = make_aged_jobs(site, 10, 20)
    make_job(site.server, Clip(status="queued"), Clip(), created_at=AT - 30)
    large = make_job(
        site.server, Clip(outputs=[b"x" * 500], size=2**33), Clip(outputs=[]), created_at=AT - 15
    )
    outputs = len(b"first output" + b"second one")
    assert retention.ended_jobs(site_db) == [
        EndedJob(early.id, AT - 20, AT - 20, 100 + outputs),
        EndedJob(large.id, AT - 15, AT - 15, 2**33 + 600),
        EndedJob(late.id, AT - 10, AT - 10, 100 + outputs),
    ]


# -- marking ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "marked"),
    [("completed", 1), ("failed", 1), ("cancelled", 1), ("queued", 0), ("processing", 0)],
)
def test_only_a_job_that_has_ended_is_marked_and_only_once(
    site: Site, site_db: Connection, status: str, marked: int
) -> None:
    job = make_job(site.server, Clip(), Clip(status=status))
    for count in (marked, 0):
        with exclusive(site_db, "queue"):
            assert retention.mark(site_db, [job.id, "unknown"], AT) == count
    assert retention.marked_ids(site_db) == [job.id] * marked


def test_a_job_that_was_retried_after_it_was_chosen_stays(site: Site, site_db: Connection) -> None:
    (job,) = make_aged_jobs(site, 2 * DAY)
    site_db.execute("UPDATE job_file SET status = 'failed'")
    chosen = retention.expired_ids(site_db, DAY, AT)
    assert chosen == [job.id]
    assert site.post_action(job.id, "retry").status_code == 202
    assert retention.expire(site_db, site.store, chosen, AT) == 0
    assert ids(site.server) == {job.id}
    check_owned(site.server)


def test_a_marked_job_cannot_be_retried(site: Site, site_db: Connection) -> None:
    job = make_job(site.server, Clip(status="failed"))
    with exclusive(site_db, "queue"):
        retention.mark(site_db, [job.id], AT)
        assert queue.retry(site_db, job.id, AT) == 0
    assert site.post_action(job.id, "retry").status_code == 404


def test_marking_needs_a_transaction(site: Site, site_db: Connection) -> None:
    job = make_job(site.server)
    with pytest.raises(RuntimeError, match="transaction"):
        retention.mark(site_db, [job.id], AT)
    assert ids(site.server) == {job.id}


# -- DELETE -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "completed", "failed", "cancelled"])
def test_delete_removes_a_job_now(site: Site, status: str) -> None:
    job, other = make_job(site.server, Clip(status=status)), make_job(site.server)
    answer = delete(site, job.id)
    assert (answer.status_code, answer.json) == (200, {"jobId": job.id, "status": "deleted"})
    assert ids(site.server) == {other.id}
    check_owned(site.server)
    check_events(site)
    assert delete(site, job.id).status_code == 404


def test_delete_of_an_unknown_job_is_a_404(site: Site) -> None:
    answer = delete(site, "unknown")
    assert (answer.status_code, answer.json) == (
        404,
        {"error": "Job not found", "code": "job_not_found"},
    )


def test_delete_of_a_running_job_ends_its_ffmpeg(
    site: Site, start_worker: Callable[..., Worker], long_clip: bytes
) -> None:
    job_id = site.upload(long_clip, variations="2")
    worker = start_worker(ENCODER_PRESET="placebo")
    wait_for(lambda: site.show(job_id)["progress"] > 0, 30, worker.log())
    assert processes_naming(site.output_dir)
    assert delete(site, job_id).status_code == 200
    wait_for(lambda: not processes_naming(site.output_dir), 10, "the end of its ffmpeg")
    wait_for(lambda: not list(site.output_dir.glob("*/.*/*")), 10, "an empty folder")
    House(site, now=time.time()).after(0)
    check_owned(site.server)
    assert worker.stop() == 0
    assert "Traceback" not in worker.log()
    other = site.upload(long_clip[:100])  # the worker was unharmed; its successor is at work
    start_worker()
    site.wait_until(other, "failed")


def test_a_worker_keeps_house_by_itself(site: Site, start_worker: Callable[..., Worker]) -> None:
    make_job(site.server, created_at=time.time() - 2 * DAY)
    start_worker()
    wait_for(lambda: not site.rows("SELECT id FROM job"), 20, "its first round")
    check_owned(site.server)


def test_a_job_that_is_deleted_is_expired_for_its_links(site: Site, site_db: Connection) -> None:
    job = make_job(site.server)
    delete(site, job.id)
    assert queries.has_expired(site_db, job.id)
    assert site.client.get(job.output(), headers=site.headers).status_code == 410
