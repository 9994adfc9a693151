"""Every SQL statement about jobs: one function, one statement; db comes first, now last."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from jobserver.db import transaction


class Upload(NamedTuple):
    """A whole, durable file in UPLOAD_DIR that is about to belong to a job."""

    id: str
    name: str  # as the client sent it
    stored_name: str  # in UPLOAD_DIR
    size: int  # bytes


def insert_job(
    db: sqlite3.Connection, job_id: str, uploads: Sequence[Upload], variations: int, now: float
) -> None:
    """Queue one job with its files; durable when this returns, nothing when it raises.

    variations: of each file, 1 to 20. now: Unix seconds, UTC.
    Raises sqlite3.OperationalError when the lock outlasts connect()'s timeout.
    """
    job = {"id": job_id, "variations": variations, "now": now}
    rows = [
        {"job_id": job_id, "position": position, **upload._asdict()}
        for position, upload in enumerate(uploads)
    ]
    with transaction(db):
        db.execute(
            """
            INSERT INTO job (id, variations_per_video, created_at)
            VALUES (:id, :variations, :now)""",
            job,
        )
        db.executemany(
            """
            INSERT INTO job_file (id, job_id, position, name, stored_name, size)
            VALUES (:id, :job_id, :position, :name, :stored_name, :size)""",
            rows,
        )


def find_job(db: sqlite3.Connection, job_id: str) -> sqlite3.Row | None:
    """Return the job with its status and total_videos, or None."""
    query = "SELECT * FROM job_status WHERE id = :id"
    row: sqlite3.Row | None = db.execute(query, {"id": job_id}).fetchone()
    return row


def files_of(db: sqlite3.Connection, job_id: str) -> list[sqlite3.Row]:
    """Return the job's files in the order of the upload; none when there is no such job.

    Each row also tells of the job: job_status, total_videos, variations_per_video and
    created_at. One statement, for at each step of one a thread lets go of the interpreter.
    """
    query = """
        SELECT job_file.*, job_status.status AS job_status, job_status.total_videos,
               job_status.variations_per_video, job_status.created_at
        FROM job_status JOIN job_file ON job_file.job_id = job_status.id
        WHERE job_status.id = :id ORDER BY position"""
    return db.execute(query, {"id": job_id}).fetchall()


def newest_jobs(db: sqlite3.Connection, limit: int) -> list[sqlite3.Row]:
    """Return at most `limit` jobs with status and total_videos, newest first."""
    query = "SELECT * FROM job_status ORDER BY created_at DESC, id DESC LIMIT :limit"
    return db.execute(query, {"limit": limit}).fetchall()


def jobs_before(db: sqlite3.Connection, job: sqlite3.Row, limit: int) -> list[sqlite3.Row]:
    """Return at most `limit` jobs that are older than `job`, newest first."""
    query = """
        SELECT * FROM job_status WHERE (created_at, id) < (:created_at, :id)
        ORDER BY created_at DESC, id DESC LIMIT :limit"""
    place = {"created_at": job["created_at"], "id": job["id"], "limit": limit}
    return db.execute(query, place).fetchall()


def is_stored(db: sqlite3.Connection, stored_name: str) -> bool:
    """Return whether a file of this name in UPLOAD_DIR belongs to a job."""
    query = "SELECT 1 FROM job_file WHERE stored_name = :name"
    return db.execute(query, {"name": stored_name}).fetchone() is not None
