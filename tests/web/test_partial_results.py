"""A job of which a part failed or was cancelled says so, in its status and in the list."""

from contextlib import closing

import pytest

from jobserver.db import exclusive
from jobserver.jobs import standing
from tests.growing import GrowingJob, numbered
from tests.results import Clip, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases

COUNTS = ("completedVariations", "failedVideos", "cancelledVideos")


def listed(site: Site, job_id: str):
    (job,) = site.client.get("/api/jobs", headers=site.headers).json
    assert job["id"] == job_id
    return job


def counts(site: Site, job_id: str) -> tuple[int, ...]:
    """What the status counts; the list says the same."""
    status, job = site.show(job_id), listed(site, job_id)
    found = tuple(status[key] for key in COUNTS)
    assert tuple(job[key] for key in COUNTS) == found
    assert status["status"] == job["status"]
    return found


def test_a_completed_job_says_how_many_videos_failed(site: Site):
    failed = Clip("b.mp4", [], "failed")
    job = make_job(site.server, Clip("a.mp4"), failed, failed, Clip("c.mp4", [b"1"], "cancelled"))
    assert site.show(job.id)["status"] == "completed"
    assert counts(site, job.id) == (3, 2, 1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("queued", (0, 0, 0)),
        ("processing", (1, 0, 0)),
        ("completed", (1, 0, 0)),
        ("failed", (1, 1, 0)),
        ("cancelled", (1, 0, 1)),
    ],
)
def test_each_status_of_a_video_is_counted_as_that(
    site: Site, status: str, expected: tuple[int, ...]
):
    job = make_job(site.server, Clip("a.mp4", [b"1"] * expected[0], status))
    assert counts(site, job.id) == expected


def test_a_cancelled_job_says_when_until_it_is_retried(site: Site):
    job = GrowingJob(site.server, "a.mp4", "b.mp4")
    job.render((0, numbered(5), False))
    assert site.show(job.id)["cancelledAt"] is None
    answer = site.post_action(job.id, "cancel")
    shown = site.show(job.id)
    assert shown["cancelledAt"] == shown["finishedAt"] == answer.json["cancelledAt"]
    assert answer.json["completedVariations"] == 1
    assert counts(site, job.id) == (1, 0, 2)
    job.retry()
    assert site.show(job.id)["cancelledAt"] is None
    assert counts(site, job.id) == (1, 0, 0)


def test_a_video_that_failed_before_is_not_when_the_job_was_cancelled(site: Site):
    job = GrowingJob(site.server, "a.mp4", "b.mp4")
    job.claim()
    job.fail(0, "No.")
    assert site.show(job.id)["cancelledAt"] is None
    job.cancel()
    assert counts(site, job.id) == (0, 1, 1)
    job.retry()
    assert job.claim() == 0
    job.fail(0, "No.")
    job.cancel()
    cancelled_at = site.show(job.id)["cancelledAt"]
    assert cancelled_at == site.show(job.id)["finishedAt"]


def test_a_duration_is_rounded_to_milliseconds(site: Site):
    job = make_job(site.server)
    assert site.show(job.id)["files"][0]["duration"] is None
    for stored, shown in ((5.0333333333, 5.033), (1 / 3, 0.333), (5.0, 5.0), (0.00049, 0.0)):
        with closing(site.connect()) as db, exclusive(db, "queue"):
            db.write("UPDATE job_file SET duration = :stored", {"stored": stored})
            standing.touch(db, job.id)
        assert site.show(job.id)["files"][0]["duration"] == shown


def test_status_and_list_name_a_job_by_both_keys(site: Site):
    job = make_job(site.server)
    for shown in (site.show(job.id), listed(site, job.id)):
        assert shown["id"] == shown["jobId"] == job.id
