"""Rows of jobs in the database, written without an upload and without a worker."""

import time

from jobserver.db import Connection, exclusive
from jobserver.jobs import queue, standing
from jobserver.jobs.model import JobDraft, JobOptions, NewFile


def add_job(db: Connection, number: int, now: float) -> None:
    """Queue the job `job<number>` with one video, `clip <number>.mp4`."""
    file = NewFile(
        id=f"file{number:04}", name=f"clip {number}.mp4", stored_name=f"{number}.mp4", size=1000
    )
    options = JobOptions(variations=5, recipe="subtle", seed=0)
    draft = JobDraft(id=f"job{number:04}", files=[file], options=options)
    with exclusive(db, "quota"):
        queue.insert_job(db, draft, now)


def set_progress(db: Connection, job_id: str, progress: float) -> None:
    """progress: 0 to 1."""
    values = {"progress": progress, "id": job_id}
    db.execute("UPDATE job_file SET progress = :progress WHERE job_id = :id", values)
    _update(db, job_id)


def add_output(db: Connection, job_id: str, number: int, size: int) -> None:
    """List a variation of so many bytes of the job's first file."""
    db.execute(
        """INSERT INTO output (id, file_id, number, name, size, sha256, parameters, seconds,
                               created_at)
           SELECT :id, id, :number, :id, :size, '', '{}', 1, 0 FROM job_file WHERE job_id = :job""",
        {"id": f"{job_id}.{number}", "number": number, "size": size, "job": job_id},
    )
    _update(db, job_id)


def complete_job(db: Connection, job_id: str) -> None:
    values = {"now": time.time(), "id": job_id}
    db.execute(
        "UPDATE job_file SET status = 'completed', finished_at = :now WHERE job_id = :id", values
    )
    _update(db, job_id)


def fail_job(db: Connection, job_id: str) -> None:
    db.execute("UPDATE job_file SET status = 'failed' WHERE job_id = :id", {"id": job_id})
    _update(db, job_id)


def delete_job(db: Connection, job_id: str) -> None:
    """Delete it as a visitor does, so that the server still knows that it existed."""
    db.execute("UPDATE job SET removed_at = 1 WHERE id = :id", {"id": job_id})


def _update(db: Connection, job_id: str) -> None:
    """Say that a job has changed, as each function of the queue does."""
    with exclusive(db, "queue"):
        standing.update(db, job_id)
