"""How long jobs are kept, and how they are deleted.

Deleting: mark the row, delete the files, delete the row. A process that stops between two
steps leaves a mark that the next round finds. Only jobs that have ended are ever deleted.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from jobserver.db import Connection, DatabaseFull, removing
from jobserver.fault_log import FaultLog
from jobserver.files.keys import source_key
from jobserver.files.store import Store
from jobserver.jobs import ownership, queries, queue
from jobserver.jobs.model import expires_at

BATCH = 100  # jobs in one transaction: one sync, a lock that is held briefly, a log that is short

_faults = FaultLog(logging.getLogger(__name__))
T = TypeVar("T")


class EndedJob(NamedTuple):
    """A job of which nothing waits or runs. size: bytes of its files, shots and outputs."""

    id: str
    created_at: float
    ended_at: float
    size: int


def ended_jobs(db: Connection) -> list[EndedJob]:
    """Return all ended jobs that are not marked, the one that ended first before the others."""
    query = """
        SELECT job.id, job.created_at,
               COALESCE(MAX(file.finished_at), job.created_at) AS ended_at,
               CAST(SUM(file.size) + COALESCE((
                   SELECT SUM(output.size) FROM output
                   JOIN job_file AS source ON source.id = output.file_id
                   WHERE source.job_id = job.id), 0)
                   + COALESCE((SELECT SUM(shot.size) FROM shot
                               WHERE shot.job_id = job.id), 0) AS BIGINT) AS size
        FROM job JOIN job_file AS file ON file.job_id = job.id
        WHERE job.removed_at IS NULL
        GROUP BY job.id, job.created_at
        HAVING COUNT(*) FILTER (WHERE file.status IN ('queued', 'processing')) = 0
        ORDER BY ended_at, job.id"""
    return db.all(EndedJob, query)


def expired_ids(db: Connection, lifetime_s: float, now: float) -> list[str]:
    """Return the ids of the jobs that have expired."""
    return [
        job.id
        for job in ended_jobs(db)
        if expires_at(job.created_at, job.ended_at, lifetime_s) <= now
    ]


def mark(db: Connection, job_ids: Iterable[str], now: float) -> int:
    """Hide jobs whose files are about to be deleted; return how many.

    One that has not ended, or is hidden already, stays as it is: a retry may have come since it
    was chosen. The caller holds `exclusive`.
    """
    query = """
        UPDATE job SET removed_at = :now
        WHERE id = :id AND removed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM job_file
            WHERE job_id = :id AND status IN ('queued', 'processing'))"""
    return sum(db.write(query, {"id": job_id, "now": now}) for job_id in job_ids)


def expire(db: Connection, store: Store, job_ids: Iterable[str], now: float) -> int:
    """Delete these ended jobs, and what earlier rounds left half deleted; return how many.

    The caller has asked expired_ids() which those are.
    """
    for batch in batches(list(job_ids)):
        with removing(db, "queue"):
            mark(db, batch, now)
    return remove_marked(db, store, now)


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in pieces of BATCH."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def delete(
    db: Connection,
    store: Store,
    job_id: str,
    now: float,
    *,
    also: Callable[[], None] = lambda: None,
) -> bool:
    """Cancel a job and delete it now; False when there is none. What cannot go yet goes later.

    Cancelled and marked in one transaction, so that no retry comes between; also: what is written
    in it when there is such a job.
    Raises StorageUnavailable while the folders are not this database's.
    """
    ownership.require_owner(db, store)
    with removing(db, "queue"):
        queue.cancel(db, job_id, now)
        found = mark(db, [job_id], now) == 1
        if found:
            also()
    remove_marked(db, store, now)
    return found


def marked_ids(db: Connection) -> list[str]:
    """Return the ids of jobs that are marked and not deleted yet."""
    return db.column("SELECT id FROM job WHERE removed_at IS NOT NULL")


def remove_marked(db: Connection, store: Store, now: float) -> int:
    """Delete marked jobs, files before rows; return how many.

    They wait while the folders are not this database's.
    """
    marked = marked_ids(db)
    if not marked or not ownership.owns_all(db, store):
        return 0
    count = 0
    for batch in batches(marked):
        gone = [job_id for job_id in batch if _delete_files(db, store, job_id)]
        if gone:
            _delete_batch(db, gone, now)
        count += len(gone)
    return count


def _delete_files(db: Connection, store: Store, job_id: str) -> bool:
    """Delete the files of a marked job; return whether all are gone."""
    try:
        for file in queries.files_of(db, job_id):
            store.delete(source_key(file.stored_name))
        store.delete_job(job_id)
    except OSError as error:
        _faults.seen(job_id, f"job {job_id} could not be deleted yet: {error}")
        return False
    return True


def _delete_batch(db: Connection, job_ids: Sequence[str], now: float) -> None:
    """Delete rows in one transaction, or one a job where the disk has no space for that."""
    try:
        with removing(db, "queue"):
            _delete_rows(db, job_ids, now)
    except DatabaseFull:
        for job_id in job_ids:
            with removing(db, "queue"):
                _delete_rows(db, [job_id], now)


def _delete_rows(db: Connection, job_ids: Iterable[str], now: float) -> None:
    """Delete the rows of jobs whose files are gone; remember their ids as expired."""
    values = [{"id": job_id, "now": now} for job_id in job_ids]
    for query in (
        """INSERT INTO expired_job (id, created_at, removed_at)
           SELECT id, created_at, :now FROM job WHERE id = :id ON CONFLICT (id) DO NOTHING""",
        "DELETE FROM output WHERE file_id IN (SELECT id FROM job_file WHERE job_id = :id)",
        "DELETE FROM job_file WHERE job_id = :id",
        "DELETE FROM event WHERE job_id = :id",
        "DELETE FROM job_standing WHERE job_id = :id",
        "DELETE FROM job WHERE id = :id",
    ):
        db.write_many(query, values)


def forget_expired(db: Connection, before: float) -> None:
    """Forget the ids of jobs that were deleted before a Unix time."""
    db.write("DELETE FROM expired_job WHERE removed_at < :before", {"before": before})
