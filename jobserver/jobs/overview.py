"""What an operator sees of jobs: of each file also its worker, its attempts and its error."""

from collections.abc import Sequence
from typing import NamedTuple

from jobserver.db import Connection


class FileOverview(NamedTuple):
    """A file of a job. worker: who claimed it last, `host:pid`, or None. Else as model.File."""

    id: str
    job_id: str
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


def files_of_jobs(db: Connection, job_ids: Sequence[str]) -> dict[str, list[FileOverview]]:
    """Return the files of several jobs by job, in the sequence of their upload."""
    by_job: dict[str, list[FileOverview]] = {job_id: [] for job_id in job_ids}
    query = """
        SELECT id, job_id, name, stored_name, size, status, progress, finished_at, error, worker,
               attempts, (SELECT COUNT(*) FROM output WHERE file_id = job_file.id)
                   AS completed_variations
        FROM job_file WHERE job_id = :id ORDER BY position"""
    for job_id, files in by_job.items():
        files += db.all(FileOverview, query, {"id": job_id})
    return by_job
