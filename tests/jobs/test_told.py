"""How a job is told, at each of its states."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db import connect, initialise, transaction
from jobserver.jobs import store, told
from jobserver.jobs.told import Waiting

DAY = 24 * 3600.0
JOB_KEYS = [
    *("jobId", "status", "progress", "totalVideos", "variationsPerVideo", "totalVariations"),
    *("recipe", "seed", "downloadUrl", "files", "createdAt", "startedAt", "finishedAt"),
    "expiresAt",
    *("queuePosition", "etaSeconds", "error"),
]
FILE_KEYS = [
    *("id", "name", "size", "status", "progress", "error", "completedVariations"),
    *("duration", "width", "height", "sha256", "url", "thumbnailUrl", "outputs"),
]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with one job: two files, ten variations of each, made at 1000."""
    initialise(tmp_path / "db.sqlite3")
    with closing(connect(tmp_path / "db.sqlite3")) as db:
        uploads = [store.Upload(name, f"{name}.mp4", name, 9) for name in ("a", "b")]
        store.insert_job(db, "job", uploads, store.Order(10, "classic", 3), 0, 1000)
        yield db


def tell(db: sqlite3.Connection, waiting: Waiting | None = None) -> dict:
    outputs = store.outputs_of(db, "job")
    return told.job(
        store.files_of(db, "job"), outputs, waiting, DAY, lambda endpoint, **ids: endpoint
    )


def claim(db: sqlite3.Connection, now: float) -> sqlite3.Row:
    file = store.claim(db, "w", 30, now)
    assert file is not None
    return file


def publish(db: sqlite3.Connection, file: sqlite3.Row, numbers: range, now: float) -> None:
    outputs = [
        store.Published(
            f"{file['id']}{n}", n, f"{n}.mp4", 5, "0" * 64, 0, {"zoom": 0.01}, 1.5, None, ""
        )
        for n in numbers
    ]
    with transaction(db):
        assert store.let_go(db, file, numbers[-1] / 10, numbers[-1] == 10, now)
        store.insert_outputs(db, file, outputs, now)


def test_a_time_is_utc_in_milliseconds():
    assert told.timestamp(1_769_860_800.0) == "2026-01-31T12:00:00.000Z"
    assert told.timestamp(1_769_860_800.25) == "2026-01-31T12:00:00.250Z"
    assert told.timestamp(None) is None


def test_a_queued_job_has_a_place_and_no_times(db: sqlite3.Connection):
    job = tell(db, Waiting(2, 20.0, None, 1))
    assert list(job) == JOB_KEYS
    assert [list(file) for file in job["files"]] == [FILE_KEYS] * 2
    assert (job["status"], job["progress"], job["queuePosition"]) == ("queued", 0, 3)
    assert (job["etaSeconds"], job["startedAt"], job["finishedAt"]) == (None, None, None)
    assert (job["recipe"], job["seed"]) == ("classic", 3)
    assert (job["variationsPerVideo"], job["totalVideos"], job["totalVariations"]) == (10, 2, 20)
    assert job["expiresAt"] == told.timestamp(1000 + DAY)


def test_the_eta_is_the_work_ahead_and_ones_own_at_the_latest_pace(db: sqlite3.Connection):
    assert tell(db, Waiting(2, 20.0, 1.5, 2))["etaSeconds"] == round((20 + 20) * 1.5 / 2)
    publish(db, claim(db, 1001), range(1, 6), 1002)
    assert tell(db, Waiting(0, 0.0, 1.5, 1))["etaSeconds"] == round(15 * 1.5)


def test_a_job_progresses_with_its_files(db: sqlite3.Connection):
    publish(db, claim(db, 1001), range(1, 6), 1002)
    job = tell(db, Waiting(0, 0.0, 1.0, 1))
    assert (job["status"], job["progress"], job["queuePosition"]) == ("processing", 25, None)
    assert [file["progress"] for file in job["files"]] == [50, 0]
    assert [file["completedVariations"] for file in job["files"]] == [5, 0]
    assert job["startedAt"] == told.timestamp(1001)
    assert job["files"][0]["outputs"][0] == {
        "id": "a1",
        "index": 1,
        "name": "1.mp4",
        "size": 5,
        "sha256": "0" * 64,
        "parameters": {"zoom": 0.01},
        "url": "jobs.get_output",
        "thumbnailUrl": None,
    }


def test_what_is_rendered_and_not_yet_listed_is_not_100(db: sqlite3.Connection):
    for now in (1001, 1002):
        assert store.renew(db, claim(db, now), 1.0, 30, now)
    job = tell(db, Waiting(0, 0.0, 1.0, 1))
    assert [job["progress"], *(file["progress"] for file in job["files"])] == [99, 99, 99]


def test_a_job_that_has_ended_expires_a_day_later(db: sqlite3.Connection):
    publish(db, claim(db, 1001), range(1, 11), 1002)
    assert store.fail(db, claim(db, 1003), "No.", 1004)
    job = tell(db)
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    assert [file["error"] for file in job["files"]] == [None, "No."]
    assert [file["progress"] for file in job["files"]] == [100, 0]
    assert (job["finishedAt"], job["expiresAt"]) == (
        told.timestamp(1004),
        told.timestamp(1004 + DAY),
    )
    assert (job["queuePosition"], job["etaSeconds"]) == (None, None)


def test_a_job_whose_files_all_failed_says_so(db: sqlite3.Connection):
    for now in (1001, 1002):
        assert store.fail(db, claim(db, now), "No.", now)
    job = tell(db)
    assert (job["status"], job["progress"], job["error"]) == ("failed", 100, "Every video failed")
