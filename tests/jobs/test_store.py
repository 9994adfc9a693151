"""Every SQL statement about jobs, on a real database file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db import connect, initialise
from jobserver.jobs import store
from jobserver.jobs.store import Upload


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    path = tmp_path / "db.sqlite3"
    initialise(path)
    return path


@pytest.fixture
def db(database_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(database_path, lock_timeout_s=0.05)) as db:
        yield db


def uploads(job: str, count: int = 1) -> list[Upload]:
    return [Upload(f"{job}-{i}", f"clip{i}.mp4", f"{job}-{i}.mp4", 100 + i) for i in range(count)]


def order(variations: int) -> store.Order:
    return store.Order(variations, "subtle", 3)


def insert(db: sqlite3.Connection, job: str, now: float = 1.0, files: int = 1) -> None:
    store.insert_job(db, job, uploads(job, files), order(5), 0, now)


def set_statuses(db: sqlite3.Connection, job: str, *statuses: str) -> None:
    """Stand in for the worker, whose statements come with it."""
    for position, status in enumerate(statuses):
        db.execute(
            "UPDATE job_file SET status = ? WHERE job_id = ? AND position = ?",
            (status, job, position),
        )


def test_an_inserted_job_is_found_with_its_files_in_order(db):
    files = uploads("job", 3)[::-1]  # neither by id nor by name
    store.insert_job(db, "job", files, order(7), 0, 12.5)
    job = store.find_job(db, "job")
    assert dict(job) == {
        "id": "job",
        "variations_per_video": 7,
        "recipe": "subtle",
        "seed": 3,
        "removed_at": None,
        "created_at": 12.5,
        "total_videos": 3,
        "status": "queued",
    }
    told = ("id", "job_id", "position", "name", "stored_name", "size", "status")
    assert [{key: row[key] for key in told} for row in store.files_of(db, "job")] == [
        {
            "id": file.id,
            "job_id": "job",
            "position": position,
            "name": file.name,
            "stored_name": file.stored_name,
            "size": file.size,
            "status": "queued",
        }
        for position, file in enumerate(files)
    ]
    told = ("job_status", "total_videos", "variations_per_video", "created_at")
    job = [tuple(row[key] for key in told) for row in store.files_of(db, "job")]
    assert job == [("queued", 3, 7, 12.5)] * 3


def test_another_connection_sees_an_inserted_job_at_once(db, database_path):
    insert(db, "job")
    with closing(connect(database_path)) as other:
        assert store.find_job(other, "job")["id"] == "job"


def test_an_unknown_job_is_none_and_has_no_files(db):
    insert(db, "job")
    assert store.find_job(db, "JOB") is None
    assert store.files_of(db, "JOB") == []


@pytest.mark.parametrize(
    ("files", "variations", "error"),
    [
        ([*uploads("b"), *uploads("b")], 5, "UNIQUE"),
        ([*uploads("b"), Upload("x", "x.mp4", "x.mp4", 0)], 5, "size > 0"),
        ([*uploads("b"), Upload("x", "x.mp4", "a-0.mp4", 1)], 5, "stored_name"),
        (uploads("b"), 0, "variations_per_video"),
        (uploads("b"), 21, "variations_per_video"),
    ],
)
def test_a_job_that_cannot_be_inserted_leaves_no_row(db, files, variations, error):
    insert(db, "a")
    with pytest.raises(sqlite3.IntegrityError, match=error):
        store.insert_job(db, "b", files, order(variations), 0, 2.0)
    assert not db.in_transaction
    assert store.find_job(db, "b") is None
    assert store.files_of(db, "b") == []
    assert store.find_job(db, "a")["total_videos"] == 1


def test_a_job_is_inserted_once(db):
    insert(db, "job")
    with pytest.raises(sqlite3.IntegrityError):
        store.insert_job(db, "job", uploads("other"), order(5), 0, 2.0)
    assert [row["id"] for row in store.files_of(db, "job")] == ["job-0"]


def test_an_insert_behind_a_lock_raises_and_leaves_no_row(db, database_path):
    with closing(connect(database_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            insert(db, "job")
        other.execute("ROLLBACK")
    assert not db.in_transaction
    assert store.find_job(db, "job") is None
    insert(db, "job")


def test_a_file_of_no_job_is_refused(db):
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES ('f', 'nobody', 0, 'n', 's', 1)"
        )


@pytest.mark.parametrize(
    ("statuses", "job_status"),
    [
        (("queued", "queued", "queued"), "queued"),
        (("processing", "queued", "queued"), "processing"),
        (("completed", "queued", "queued"), "processing"),
        (("failed", "failed", "queued"), "processing"),
        (("cancelled", "processing", "completed"), "processing"),
        (("completed", "completed", "completed"), "completed"),
        (("failed", "completed", "failed"), "completed"),
        (("completed", "cancelled", "cancelled"), "completed"),
        (("failed", "failed", "failed"), "failed"),
        (("cancelled", "cancelled", "cancelled"), "cancelled"),
        (("failed", "cancelled", "cancelled"), "cancelled"),
    ],
)
def test_the_status_of_a_job_is_told_by_its_files(db, statuses, job_status):
    insert(db, "job", files=3)
    insert(db, "other", files=1)
    set_statuses(db, "job", *statuses)
    assert store.find_job(db, "job")["status"] == job_status
    assert {row["id"]: row["status"] for row in store.newest_jobs(db, 10)} == {
        "job": job_status,
        "other": "queued",
    }


def test_an_unknown_status_of_a_file_is_refused(db):
    insert(db, "job")
    with pytest.raises(sqlite3.IntegrityError, match="status"):
        set_statuses(db, "job", "done")


def test_the_newest_jobs_come_first_and_no_more_than_asked_for(db):
    for name, now in (("b", 2.0), ("a", 1.0), ("d", 4.0), ("c", 3.0)):
        insert(db, name, now)
    assert [row["id"] for row in store.newest_jobs(db, 3)] == ["d", "c", "b"]
    assert [row["id"] for row in store.newest_jobs(db, 9)] == ["d", "c", "b", "a"]


def test_pages_show_every_job_once_even_when_all_were_made_at_the_same_moment(db):
    names = {f"job{i:02}" for i in range(25)}
    for name in names:
        insert(db, name, now=1.0)
    page = store.newest_jobs(db, 4)
    seen: list[str] = []
    while page:
        seen += [row["id"] for row in page]
        page = store.jobs_before(db, page[-1], 4)
    assert sorted(seen) == sorted(names)
    assert len(seen) == len(names)


def test_a_new_job_does_not_shift_the_next_page(db):
    for i in range(6):
        insert(db, f"job{i}", float(i))
    first = store.newest_jobs(db, 3)
    insert(db, "late", 99.0)
    assert [row["id"] for row in store.jobs_before(db, first[-1], 3)] == ["job2", "job1", "job0"]


def test_every_page_is_found_by_the_index_without_sorting(db):
    insert(db, "job")
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    store.jobs_before(db, store.newest_jobs(db, 50)[0], 50)
    db.set_trace_callback(None)
    assert len(statements) == 2
    for statement in statements:
        plan = [row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert any("job_newest" in step for step in plan)
        assert not any("B-TREE" in step for step in plan)


def test_a_stored_name_belongs_to_a_job_or_not(db):
    insert(db, "job")
    assert store.is_stored(db, "job-0.mp4") is True
    assert store.is_stored(db, "job-0.mp4.part") is False
    assert store.is_stored(db, "clip0.mp4") is False
    assert store.is_stored(db, "") is False
