"""Is there room? Counting what is stored, reserving for what comes, evicting what may go.

Two limits: STORAGE_QUOTA counts the bytes of jobs; MIN_FREE_SPACE is about the disk. Room on
the disk must be there before an upload is received. The quota is judged for certain in the
transaction that makes the job, by the bytes that came: uploads at the same time, or of unknown
length, cannot exceed it together, and an upload that is refused has evicted nothing.

Only jobs that have ended are evicted, the one that ended first before the others.
"""

from typing import NamedTuple

from jobserver.db import Connection, removing
from jobserver.errors import InsufficientStorage, LargerThanQuota, QuotaExceeded
from jobserver.files.store import Store
from jobserver.jobs import ownership, retention
from jobserver.jobs.retention import EndedJob
from jobserver.settings import Settings


class SpaceLimits(NamedTuple):
    """quota: bytes that all jobs may use, 0 for no limit. min_free: bytes of disk kept free."""

    quota: int
    min_free: int

    @classmethod
    def of(cls, settings: Settings) -> "SpaceLimits":
        """Take them from the settings."""
        return cls(settings.storage_quota, settings.min_free_space)


def make_room(
    db: Connection, store: Store, limits: SpaceLimits, incoming_bytes: int, *, now: float
) -> None:
    """Before an upload of so many bytes is received: make room on the disk, or refuse it.

    Evicts nothing when even all ended jobs together would not be enough, nor for the quota.
    The space that removing needs is restored first: no upload takes it from what was freed.
    incoming_bytes: 0 when unknown. Raises StorageUnavailable while the folders are not this
    database's, LargerThanQuota, QuotaExceeded or InsufficientStorage.
    """
    ownership.adopt_unowned(db, store)
    ownership.require_owner(db, store)
    if limits.quota and incoming_bytes > limits.quota:
        raise LargerThanQuota(limits.quota)
    missing_on_disk = disk_bytes_to_free(db, store, limits, incoming_bytes)
    missing = max(missing_on_disk, quota_bytes_to_free(db, limits, incoming_bytes))
    if missing > 0 and missing > sum(job.size for job in retention.ended_jobs(db)):
        store.require_free(incoming_bytes)
        raise QuotaExceeded
    if missing_on_disk > 0:
        evict(db, store, limits, incoming_bytes=incoming_bytes, only_disk=True, now=now)
        store.require_free(incoming_bytes)
    if not db.reserve.restore():
        raise InsufficientStorage


def reserve(db: Connection, limits: SpaceLimits, incoming_bytes: int, now: float) -> int:
    """Make `incoming_bytes` fit into the quota, in the transaction that stores their rows.

    Marks ended jobs for removal and returns how many; retention.remove_marked() deletes their
    files after the commit. The caller holds `exclusive("quota")`.
    Raises LargerThanQuota or QuotaExceeded.
    """
    if limits.quota and incoming_bytes > limits.quota:
        raise LargerThanQuota(limits.quota)
    missing = quota_bytes_to_free(db, limits, incoming_bytes)
    chosen = choose_evictions(retention.ended_jobs(db), missing) if missing > 0 else []
    if sum(job.size for job in chosen) < missing:
        raise QuotaExceeded
    return retention.mark(db, [job.id for job in chosen], now)


def evict(
    db: Connection,
    store: Store,
    limits: SpaceLimits,
    *,
    now: float,
    incoming_bytes: int = 0,
    only_disk: bool = False,
) -> int:
    """Delete the ended jobs that must go for the limits to hold; return how many.

    Judged, chosen and marked in one transaction: two at once do not choose for the same need.
    More than a BATCH go in several.
    """
    marked = retention.BATCH
    count = 0
    while marked == retention.BATCH:
        with removing(db, "quota"):
            missing = disk_bytes_to_free(db, store, limits, incoming_bytes)
            if not only_disk:
                missing = max(missing, quota_bytes_to_free(db, limits, incoming_bytes))
            chosen = choose_evictions(retention.ended_jobs(db), missing) if missing > 0 else []
            marked = retention.mark(db, [job.id for job in chosen[: retention.BATCH]], now)
        count += retention.remove_marked(db, store, now)
    return count


def bytes_to_free(db: Connection, store: Store, limits: SpaceLimits) -> int:
    """Return the bytes that must go now, whichever limit asks for more; 0 or less for none."""
    return max(disk_bytes_to_free(db, store, limits, 0), quota_bytes_to_free(db, limits, 0))


def quota_bytes_to_free(db: Connection, limits: SpaceLimits, incoming_bytes: int) -> int:
    """Return the bytes by which `incoming_bytes` more would exceed the quota."""
    return used_bytes(db) + incoming_bytes - limits.quota if limits.quota else 0


def disk_bytes_to_free(
    db: Connection, store: Store, limits: SpaceLimits, incoming_bytes: int
) -> int:
    """Return the bytes by which `incoming_bytes` more would use the space that is kept free.

    What is marked already is being deleted by somebody: it counts as free. 0 where the store
    has no end.
    """
    free = store.free()
    if free is None:
        return 0
    missing = limits.min_free + incoming_bytes - free
    return missing - marked_bytes(db) if missing > 0 else 0


def choose_evictions(ended: list[EndedJob], missing: int) -> list[EndedJob]:
    """Return just as many of the ended jobs, oldest first, as free `missing` bytes.

    All of them when they are not enough.
    """
    chosen: list[EndedJob] = []
    for job in ended:
        if missing <= 0:
            break
        chosen.append(job)
        missing -= job.size
    return chosen


def used_bytes(db: Connection) -> int:
    """Return the bytes of the uploads, shots and outputs of all jobs that are not marked.

    Uploads that wait for their jobs count with all that they will have.
    """
    query = """
        SELECT CAST(COALESCE((SELECT SUM(size) FROM job_file), 0)
                  + COALESCE((SELECT SUM(size) FROM upload WHERE job_id IS NULL), 0)
                  + COALESCE((SELECT SUM(size) FROM shot), 0)
                  + COALESCE((SELECT SUM(size) FROM output), 0) AS BIGINT)"""
    total: int = db.value(query)
    return total - marked_bytes(db)


def marked_bytes(db: Connection) -> int:
    """Return the bytes of the uploads, shots and outputs of marked jobs, which are about to go."""
    query = """
        SELECT CAST(COALESCE(SUM(file.size
                   + COALESCE((SELECT SUM(size) FROM shot WHERE file_id = file.id), 0)
                   + COALESCE((SELECT SUM(size) FROM output WHERE file_id = file.id), 0)), 0)
               AS BIGINT)
        FROM job JOIN job_file AS file ON file.job_id = job.id
        WHERE job.removed_at IS NOT NULL"""
    total: int = db.value(query)
    return total
