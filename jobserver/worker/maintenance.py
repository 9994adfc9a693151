"""The housekeeping round of a worker: what has expired, exceeds a limit or has no owner goes."""

from contextlib import suppress

from jobserver.db import (
    Connection,
    DatabaseFull,
    checkpoint,
    clock_note,
    note_clock,
    removing,
    take_turn,
)
from jobserver.files.store import Store
from jobserver.jobs import clock, ownership, quota, retention, standing, sweep, workers
from jobserver.jobs.clock import Reading
from jobserver.jobs.quota import SpaceLimits

EXPIRED_IDS_KEPT_S = 30 * 24 * 3600.0  # how long an expired job is a 410, not a 404


class Housekeeper:
    """Does a round; remembers its own last reading of the clocks."""

    def __init__(
        self, db: Connection, store: Store, limits: SpaceLimits, lifetime_s: float
    ) -> None:
        self._db, self._store, self._limits = db, store, limits
        self._lifetime_s = lifetime_s
        self._last: Reading | None = None

    def round(self, now: float, monotonic: float) -> None:
        """Delete what must go at `now` (Unix seconds); `monotonic` tells if that clock jumped.

        What has expired goes first, so that no more is evicted than is still needed then. A
        write-ahead log that grew is cut to its size, the reserve is made whole.
        """
        db, store = self._db, self._store
        reading = Reading(now, monotonic)
        note = clock.judge(clock_note(db), self._last, reading)
        trusted = clock.is_trusted(note)
        if ownership.owns_all(db, store):
            expired = retention.expired_ids(db, self._lifetime_s, now) if trusted else []
            retention.expire(db, store, expired, now)
            quota.evict(db, store, self._limits, now=now)
            if self._may_sweep(now):
                sweep.sweep_uploads(db, store)
                sweep.sweep_outputs(db, store)
                sweep.forget_missing(db, store, now)
        with suppress(DatabaseFull):  # then the write that comes next makes way
            standing.mend(db)
            checkpoint(db)
        with removing(db, "housekeeping"):
            note_clock(db, note)
            workers.forget_dead(db, now)
            if trusted:
                retention.forget_expired(db, now - EXPIRED_IDS_KEPT_S)
        db.reserve.restore()
        self._last = reading

    def _may_sweep(self, now: float) -> bool:
        """Return whether the store may be listed now: each time, or once in a while of all hosts.

        A listing that fails is not tried again before the next is due.
        """
        every_s = self._store.sweep_every_s
        if not every_s:
            return True
        with removing(self._db, "housekeeping"):
            return take_turn(self._db, "sweep", now + every_s, now)
