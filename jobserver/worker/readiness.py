"""May a render thread claim a file now? Not without its folders, nor on a full disk.

A claim that is sure to fail would write to the database, and to the log, for each file that
waits. Instead the worker says once what it waits for; the files keep their turns and attempts.
"""

import errno
import time

from jobserver import render
from jobserver.db import Connection, DatabaseFull
from jobserver.files.store import Store
from jobserver.jobs import ownership
from jobserver.worker.presence import Presence


class Readiness:
    """One a render thread; what it waits for is the process's `presence.waits_for`.

    was_full: the last attempt found a full disk.
    """

    def __init__(self, store: Store, presence: Presence) -> None:
        self._store, self._presence = store, presence
        self.was_full = False
        self._retry_at = 0.0

    def may_claim(self, db: Connection) -> bool:
        """Return whether a claim can go well. Raises DatabaseError."""
        has_folders = self.has_folders(db)
        if not has_folders:
            self._presence.waits_for = "storage_unavailable"
        elif self.was_full:
            self._presence.waits_for = "disk_space"
        else:
            self._presence.waits_for = None
            self._presence.faults.over("disk")
        return has_folders and time.monotonic() >= self._retry_at

    def has_folders(self, db: Connection) -> bool:
        """Return whether the folders are there, and this database's; log if not."""
        return ownership.owns_all(db, self._store)

    def note_unreachable(self, error: Exception, retry_after_s: float) -> None:
        """Note that the store did not answer in mid-work: claim nothing for a while."""
        self._retry_at = time.monotonic() + retry_after_s
        self._presence.waits_for = "storage_unavailable"
        self._presence.faults.seen("store", str(error))

    def note_full(self, error: Exception, retry_after_s: float) -> None:
        """Note that a disk was full, although something may fit: claim nothing for a while."""
        self.was_full = True
        self._retry_at = time.monotonic() + retry_after_s
        self._presence.waits_for = "disk_space"
        self._presence.faults.seen("disk", f"no space for outputs or rows: {error}", kind="full")

    def has_published(self) -> None:
        """Note that there was space, and a store that answered."""
        self.was_full = False
        self._presence.waits_for = None
        self._presence.faults.over("disk")
        self._presence.faults.over("store")


def is_full_disk(error: Exception) -> bool:
    """Return whether an error says that a disk, or a quota of the system, is full."""
    full = isinstance(error, (render.DiskFull, DatabaseFull))
    return full or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
