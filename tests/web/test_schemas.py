"""The JSON shape of a job at each of its states."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from jobserver.db import Connection, Place, claiming, connect, exclusive
from jobserver.jobs import queries, queue
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile, QueueEstimate
from jobserver.jobs.queue import NewOutput
from jobserver.web import schemas
from jobserver.web.hot_path import timestamp

pytestmark = pytest.mark.both_databases

DAY = 24 * 3600.0
JOB_KEYS = [
    *("jobId", "status", "progress", "totalVideos", "variationsPerVideo", "totalVariations"),
    *("recipe", "seed", "downloadUrl", "files", "createdAt", "startedAt", "finishedAt"),
    "expiresAt",
    *("queuePosition", "etaSeconds", "waitsFor", "error", "id", "completedVariations"),
    *("failedVideos", "cancelledVideos", "cancelledAt", "title", "brief", "variations"),
    "assets",
]
FILE_KEYS = [
    *("id", "name", "size", "status", "progress", "error", "completedVariations"),
    *("totalVariations", "duration", "width", "height", "sha256", "seed", "url", "thumbnailUrl"),
    "contentCredentials",
    *("failedVariations", "outputs", "failedOutputs"),
]


@pytest.fixture
def db(place: Place) -> Iterator[Connection]:
    """A database with one job: two files, ten variations of each, made at 1000."""
    with closing(connect(place)) as db:
        files = [NewFile(name, f"{name}.mp4", name, 9) for name in ("a", "b")]
        with exclusive(db, "quota"):
            queue.insert_job(db, JobDraft("job", files, JobOptions(10, "classic", 3)), 1000)
        yield db


def link(endpoint: str, **ids: str) -> str:
    return endpoint


def job_json(
    db: Connection, estimate: QueueEstimate | None = None, workers: int = 1
) -> dict[str, Any]:
    """The job as it is now, with this estimate in place of its own."""
    state = queries.job_state(db, "job")
    assert state is not None
    shown = defaultdict(list)
    for output in queries.outputs_of(db, "job"):
        shown[output.file_id].append(schemas.output_json("job", output, output.file_id, link))
    return schemas.job_json(
        state._replace(estimate=estimate),
        shown,
        workers=workers,
        lifetime_s=DAY,
        link=link,
    )


def claim(db: Connection, now: float) -> Claim:
    with claiming(db):
        found = queue.claim(db, "w", 30, now)
    assert found is not None
    return found


def fail(db: Connection, claimed: Claim, now: float) -> None:
    with exclusive(db, "publish"):
        assert queue.fail(db, claimed, "No.", now)


def publish(db: Connection, claimed: Claim, numbers: range, now: float) -> None:
    outputs = [
        NewOutput(
            id=f"{claimed.id}{n}",
            number=n,
            name=f"{n}.mp4",
            size=5,
            sha256="0" * 64,
            crc32=0,
            parameters={"zoom": 0.01},
            seconds=1.5,
            thumbnail=None,
            made_with="",
        )
        for n in numbers
    ]
    with exclusive(db, "publish"):
        if numbers[-1] == 10:
            assert queue.finish(db, claimed, now)
        else:
            assert queue.release(db, claimed, numbers[-1] / 10, now)
        queue.insert_outputs(db, claimed, outputs, now)


def test_a_time_is_utc_in_milliseconds():
    assert timestamp(1_769_860_800.0) == "2026-01-31T12:00:00.000Z"
    assert timestamp(1_769_860_800.25) == "2026-01-31T12:00:00.250Z"
    assert timestamp(None) is None


def test_a_queued_job_has_a_queue_position_and_no_times(db: Connection):
    job = job_json(db, QueueEstimate(2, 20.0, None))
    assert list(job) == JOB_KEYS
    assert [list(file) for file in job["files"]] == [FILE_KEYS] * 2
    assert (job["status"], job["progress"], job["queuePosition"]) == ("queued", 0, 3)
    assert (job["etaSeconds"], job["startedAt"], job["finishedAt"]) == (None, None, None)
    assert (job["recipe"], job["seed"]) == ("classic", 3)
    assert (job["variationsPerVideo"], job["totalVideos"], job["totalVariations"]) == (10, 2, 20)
    assert job["expiresAt"] == timestamp(1000 + DAY)


def test_the_eta_is_the_work_of_older_jobs_and_its_own_at_the_latest_pace(db: Connection):
    estimate = QueueEstimate(2, 20.0, 1.5)
    assert job_json(db, estimate, workers=2)["etaSeconds"] == round((20 + 20) * 1.5 / 2)
    publish(db, claim(db, 1001), range(1, 6), 1002)
    assert job_json(db, QueueEstimate(0, 0.0, 1.5))["etaSeconds"] == round(15 * 1.5)


def test_a_job_progresses_with_its_files(db: Connection):
    publish(db, claim(db, 1001), range(1, 6), 1002)
    job = job_json(db, QueueEstimate(0, 0.0, 1.0))
    assert (job["status"], job["progress"], job["queuePosition"]) == ("processing", 25, None)
    assert [file["progress"] for file in job["files"]] == [50, 0]
    assert [file["completedVariations"] for file in job["files"]] == [5, 0]
    assert job["startedAt"] == timestamp(1001)
    assert job["downloadUrl"] == "outputs.download"
    assert job["files"][0]["outputs"][0] == {
        "id": "a1",
        "index": 1,
        "name": "1.mp4",
        "size": 5,
        "sha256": "0" * 64,
        "parameters": {"zoom": 0.01},
        "url": "outputs.get_output",
        "thumbnailUrl": None,
        "downloadName": "a_var1.mp4",
        "axes": None,
        "width": None,
        "height": None,
        "duration": None,
        "loudness": None,
        "placements": None,
        "difference": None,
    }


def test_what_is_rendered_and_not_yet_published_is_not_100(db: Connection):
    for now in (1001, 1002):
        claimed = claim(db, now)
        with claiming(db):
            assert queue.renew(db, claimed, 1.0, lease_s=30, now=now)
    job = job_json(db, QueueEstimate(0, 0.0, 1.0))
    assert [job["progress"], *(file["progress"] for file in job["files"])] == [99, 99, 99]


def test_a_job_that_has_ended_expires_a_day_later(db: Connection):
    publish(db, claim(db, 1001), range(1, 11), 1002)
    fail(db, claim(db, 1003), 1004)
    job = job_json(db)
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    assert [file["error"] for file in job["files"]] == [None, "No."]
    assert [file["progress"] for file in job["files"]] == [100, 0]
    assert (job["finishedAt"], job["expiresAt"]) == (timestamp(1004), timestamp(1004 + DAY))
    assert (job["queuePosition"], job["etaSeconds"]) == (None, None)


def test_a_job_whose_files_all_failed_says_so(db: Connection):
    for now in (1001, 1002):
        fail(db, claim(db, now), now)
    job = job_json(db)
    assert (job["status"], job["progress"], job["error"]) == ("failed", 100, "Every video failed")


def test_a_job_that_has_ended_has_no_estimate_and_another_has(db: Connection):
    state = queries.job_state(db, "job")
    assert state is not None
    assert state.estimate == QueueEstimate(0, 0, None)
    for now in (1001, 1002):
        fail(db, claim(db, now), now)
    ended = queries.job_state(db, "job")
    assert ended is not None
    assert ended.estimate is None


def test_each_address_leads_to_its_own_view(app):
    """The names of endpoints in the JSON are those of routes, with the same ids."""
    linked = {
        "outputs.download": {"job_id"},
        "outputs.get_output": {"job_id", "output_id"},
        "outputs.output_thumbnail": {"job_id", "output_id"},
        "outputs.get_source": {"job_id", "file_id"},
        "outputs.file_thumbnail": {"job_id", "file_id"},
    }
    rules = {
        rule.endpoint: rule.arguments
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    assert linked == {name: ids for name, ids in rules.items() if name.startswith("outputs.")}
