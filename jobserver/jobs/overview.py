"""What an operator sees of jobs: of each file also its worker, its attempts and its error."""

from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs.model import Role


class FileOverview(NamedTuple):
    """A file of a job. worker: who claimed it last, `host:pid`, or None. Else as model.File."""

    id: str
    job_id: str
    role: Role
    name: str
    stored_name: str
    size: int
    status: str
    progress: float
    finished_at: float | None
    error: str | None
    worker: str | None
    attempts: int
    completed_variations: int
    weight: float | None


def files_with_workers(db: Connection, job_id: str) -> list[FileOverview]:
    """Return the files of a job in the sequence of their upload, its videos first."""
    query = """
        SELECT id, job_id, role, name, stored_name, size, status, progress, finished_at, error,
               worker, attempts, (SELECT COUNT(*) FROM output WHERE file_id = job_file.id)
                   AS completed_variations, weight
        FROM job_file WHERE job_id = :id ORDER BY role <> 'video', position"""
    return db.all(FileOverview, query, {"id": job_id})
