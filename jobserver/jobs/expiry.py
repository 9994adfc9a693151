"""What is past its time or over the quota goes, and what nobody owns any more.

Deleting: mark the row, remove the files, remove the row. Whoever stops between two steps
leaves a mark that the next round finds. Only jobs that have ended ever go.
"""

import fcntl
import logging
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from jobserver.db import database_id, note_last_seen, transaction
from jobserver.errors import LargerThanQuota, StorageUnavailable
from jobserver.jobs import output, store

OWNER_FILE = ".database"  # in both folders: the id of the database whose files these are
GRACE_S = 3600.0  # how long nothing expires after the clock was seen to jump
JUMP_S = 60.0
BATCH = 100  # jobs whose rows go in one transaction: one sync, and a lock that is soon let go
_OURS = re.compile(rf"\w{{22}}\.\w{{1,10}}|{re.escape(OWNER_FILE)}\.\w+")  # ids.py, intake.py
REMEMBERED_S = 30 * 24 * 3600.0  # how long an expired job is told from an unknown one

log = logging.getLogger(__name__)


class Storage(NamedTuple):
    """Where files are, how long jobs live (seconds) and what they may use (bytes)."""

    uploads: Path
    outputs: Path
    lifetime_s: float
    quota: int  # 0: none
    min_free: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Storage":
        """Take them from the settings."""
        return cls(
            config["UPLOAD_DIR"],
            config["OUTPUT_DIR"],
            config["JOB_LIFETIME"],
            config["STORAGE_QUOTA"],
            config["MIN_FREE_SPACE"],
        )

    def free(self) -> int:
        """Return the bytes that may still be written, to the fuller disk of the two folders."""
        disks = (os.statvfs(folder) for folder in (self.uploads, self.outputs))
        return min(disk.f_bavail * disk.f_frsize for disk in disks)


class Clock:
    """Tells whether the wall clock can be believed; a jump puts expiry off for GRACE_S.

    Judged by the monotonic clock, and at the start by the time that was noted last.
    """

    def __init__(self, noted: float | None, now: float, monotonic: float) -> None:
        jumped = noted is not None and now - noted > GRACE_S
        self._trusted_from = monotonic + GRACE_S if jumped else monotonic
        self._offset = now - monotonic

    def trusts(self, now: float, monotonic: float) -> bool:
        """Return whether `now` may be held against a job's age."""
        offset = now - monotonic
        if abs(offset - self._offset) > JUMP_S:
            log.warning("the clock jumped by %.0f s; expiry waits", offset - self._offset)
            self._trusted_from = monotonic + GRACE_S
        self._offset = offset
        return monotonic >= self._trusted_from


def too_old(db: sqlite3.Connection, storage: Storage, now: float) -> list[str]:
    """Return the ids of the jobs that have expired at `now`, Unix seconds."""
    return [job["id"] for job in store.expired_jobs(db, now - storage.lifetime_s)]


def too_much(db: sqlite3.Connection, lacking: int) -> list[str]:
    """Return the ids of the ended jobs, oldest first, that must go for `lacking` bytes.

    Just as many as are needed; fewer when all ended jobs together are not enough.
    """
    chosen = []
    for job in store.ended_jobs(db) if lacking > 0 else ():
        if lacking <= 0:
            break
        chosen.append(job["id"])
        lacking -= job["size"]
    return chosen


def over_quota(db: sqlite3.Connection, storage: Storage, coming: int = 0) -> int:
    """Return the bytes by which `coming` more would pass the quota."""
    return store.used_bytes(db) + coming - storage.quota if storage.quota else 0


def short_of_space(db: sqlite3.Connection, storage: Storage, coming: int = 0) -> int:
    """Return the bytes by which `coming` more would use the space that is kept free.

    What is marked already is on its way out, whoever removes it: it counts as free.
    """
    lacking = storage.min_free + coming - storage.free()
    return lacking - store.marked_bytes(db) if lacking > 0 else 0


def shortage(db: sqlite3.Connection, storage: Storage, coming: int = 0) -> int:
    """Return the bytes that must go for `coming` more, whichever limit asks for more."""
    return max(over_quota(db, storage, coming), short_of_space(db, storage, coming))


def admit(db: sqlite3.Connection, storage: Storage, coming: int, now: float) -> bool:
    """Make room on the disk for an upload of `coming` bytes; return whether it may be received.

    Evicts nothing when even all ended jobs together would not be enough, nor for the quota:
    that waits until the upload is whole (make_room).
    Raises StorageUnavailable while the folders are not this database's, and LargerThanQuota.
    """
    claim_folders(db, storage)
    require_ours(db, storage)
    if storage.quota and coming > storage.quota:
        raise LargerThanQuota(storage.quota)
    if not _can_make_room(db, shortage(db, storage, coming)):
        return False
    if short_of_space(db, storage, coming) <= 0:
        return True
    evict(db, storage, lambda: short_of_space(db, storage, coming), now)
    return short_of_space(db, storage, coming) <= 0


def make_room(db: sqlite3.Connection, storage: Storage, coming: int, now: float) -> None:
    """Evict what must go for `coming` bytes to fit into the quota; nothing when they cannot.

    Raises LargerThanQuota.
    """
    if storage.quota and coming > storage.quota:
        raise LargerThanQuota(storage.quota)
    over = over_quota(db, storage, coming)
    if over > 0 and _can_make_room(db, over):
        evict(db, storage, lambda: over_quota(db, storage, coming), now)


def _can_make_room(db: sqlite3.Connection, lacking: int) -> bool:
    return lacking <= 0 or lacking <= sum(job["size"] for job in store.ended_jobs(db))


def evict(db: sqlite3.Connection, storage: Storage, lacking: Callable[[], int], now: float) -> int:
    """Remove the ended jobs that must go for the bytes that are `lacking`; return how many.

    Judged, chosen and marked in one transaction: two at once do not choose for the same need.
    """
    with transaction(db):
        for job_id in too_much(db, lacking()):
            store.mark_removed(db, job_id, now)
    return remove_marked(db, storage, now)


def remove_all(db: sqlite3.Connection, storage: Storage, job_ids: Iterable[str], now: float) -> int:
    """Remove these ended jobs and what earlier rounds left half removed; return how many."""
    with transaction(db):
        for job_id in job_ids:
            store.mark_removed(db, job_id, now)
    return remove_marked(db, storage, now)


def delete(db: sqlite3.Connection, storage: Storage, job_id: str, now: float) -> bool:
    """Cancel a job and remove it now; False when there is none. What cannot go yet goes later.

    Cancelled and marked in one transaction, so that no retry comes between.
    Raises StorageUnavailable while the folders are not this database's.
    """
    require_ours(db, storage)
    with transaction(db):
        store.cancel(db, job_id, now)
        found = store.mark_removed(db, job_id, now)
    remove_marked(db, storage, now)
    return found


def remove_marked(db: sqlite3.Connection, storage: Storage, now: float) -> int:
    """Remove marked jobs, files before rows; return how many. They wait while folders are lost."""
    marked = store.removed_jobs(db)
    if not marked or not are_ours(db, storage):
        return 0
    count = 0
    for start in range(0, len(marked), BATCH):
        gone = [each for each in marked[start : start + BATCH] if _is_removed(db, storage, each)]
        store.delete_jobs(db, gone, now)
        count += len(gone)
    return count


def _is_removed(db: sqlite3.Connection, storage: Storage, job_id: str) -> bool:
    """Remove the files of a marked job; return whether all are gone. A missing one is."""
    try:
        for file in store.files_of(db, job_id):
            (storage.uploads / file["stored_name"]).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # there was none, or somebody else removes it too
            shutil.rmtree(storage.outputs / job_id)
    except OSError as error:
        log.warning("job %s could not be removed yet: %s", job_id, error)
        return False
    return not (storage.outputs / job_id).exists()


def sweep_uploads(db: sqlite3.Connection, folder: Path) -> int:
    """Remove files that no row names and no living upload holds; return how many.

    Removes nothing from the folder of another database: after a lost or exchanged
    database every upload looks like an orphan.
    """
    if not belongs(db, folder):
        return 0
    return sum(_remove_orphan(db, path) for path in orphaned_uploads(db, folder))


def sweep_outputs(db: sqlite3.Connection, folder: Path) -> int:
    """Remove what killed workers left in OUTPUT_DIR; return how many things.

    Forgets what somebody else removed there.
    """
    if not belongs(db, folder):
        return 0
    return output.sweep(db, folder) + output.forget_missing(db, folder)


def claim_folders(db: sqlite3.Connection, storage: Storage) -> None:
    """Mark unclaimed folders as this database's, before anything comes into them.

    Durable, as the folder itself is then: a mark cut short by a power cut would be foreign.
    """
    for folder in (storage.uploads, storage.outputs):
        if not (folder / OWNER_FILE).exists() and is_unclaimed(db, folder):
            mark(db, folder)


def mark(db: sqlite3.Connection, folder: Path) -> None:
    """Note durably that `folder` is this database's."""
    draft = folder / f"{OWNER_FILE}.{secrets.token_hex(8)}"
    draft.write_text(database_id(db))
    output.make_durable(draft)
    with suppress(FileNotFoundError):  # swept as an orphan: another was faster
        os.replace(draft, folder / OWNER_FILE)
    output.sync_folder(folder)
    with suppress(PermissionError):  # then it was there before us
        output.sync_folder(folder.parent)


def is_unclaimed(db: sqlite3.Connection, folder: Path) -> bool:
    """Return whether `folder` may become this database's: empty, unmarked, and no job before it.

    A database that has jobs has marked its folders: an empty one is a volume not mounted.
    """
    names = (path.name for path in folder.iterdir())
    # what file systems and killed claims leave
    empty = all(name == "lost+found" or name.startswith(f"{OWNER_FILE}.") for name in names)
    return empty and not store.has_jobs(db)


def is_foreign(db: sqlite3.Connection, folder: Path) -> bool:
    """Return whether `folder` is not this database's, nor may become it. Raises OSError."""
    try:
        return (folder / OWNER_FILE).read_text() != database_id(db)
    except FileNotFoundError:
        return not is_unclaimed(db, folder)


def belongs(db: sqlite3.Connection, folder: Path) -> bool:
    """Return whether `folder` is this database's, or may become it; log it when not."""
    foreign = is_foreign(db, folder)
    if foreign:
        log.warning("%s does not hold the files of this database; nothing is removed", folder)
    return not foreign


def are_ours(db: sqlite3.Connection, storage: Storage) -> bool:
    """Return whether files may be put into both folders, and removed from them."""
    return belongs(db, storage.uploads) and belongs(db, storage.outputs)


def require_ours(db: sqlite3.Connection, storage: Storage) -> None:
    """Raise StorageUnavailable unless both folders are this database's."""
    if not are_ours(db, storage):
        raise StorageUnavailable


def orphaned_uploads(db: sqlite3.Connection, folder: Path) -> list[Path]:
    """Return the uploads in UPLOAD_DIR that no row names; a living one may be among them.

    Only what has a name of our making: whatever else lies there is not ours to remove.
    """
    paths = [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]
    known = store.stored_names(db)
    return [path for path in paths if path.name not in known and path.is_file()]


def _remove_orphan(db: sqlite3.Connection, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if store.is_stored(db, path.name):  # committed since, and its request is over
                return False
            path.unlink()
    except (FileNotFoundError, BlockingIOError):  # renamed meanwhile, or a living upload
        return False
    return True


class Housekeeper:
    """One round a minute, in the worker: expire, evict, sweep."""

    def __init__(self, db: sqlite3.Connection, storage: Storage, clock: Clock):
        self._db = db
        self._storage = storage
        self._clock = clock

    def round(self, now: float, monotonic: float) -> None:
        """Remove what must go at `now` (Unix seconds); `monotonic` judges the clock.

        What has expired goes first, so that no more is evicted than is still needed then.
        """
        db, storage = self._db, self._storage
        trusted = self._clock.trusts(now, monotonic)
        if are_ours(db, storage):
            remove_all(db, storage, too_old(db, storage, now) if trusted else [], now)
            evict(db, storage, lambda: shortage(db, storage), now)
            sweep_uploads(db, storage.uploads)
            sweep_outputs(db, storage.outputs)
        if trusted:  # else a restart would forget that it was not
            store.forget_expired(db, now - REMEMBERED_S)
            note_last_seen(db, now)
