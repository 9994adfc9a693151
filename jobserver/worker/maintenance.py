"""The housekeeping round of a worker: what has expired, exceeds a limit or has no owner goes."""

import socket
import time
from contextlib import suppress
from typing import Self

from jobserver.auth import audit
from jobserver.db import (
    Connection,
    DatabaseError,
    DatabaseFull,
    DatabaseUnusable,
    Place,
    checkpoint,
    claiming,
    clock_note,
    identity,
    many_hosts,
    note_clock,
    removing,
    take_turn,
)
from jobserver.fault_log import FaultLog
from jobserver.files.store import Store
from jobserver.jobs import (
    clock,
    idempotency,
    ownership,
    quota,
    resumable,
    retention,
    standing,
    sweep,
    webhooks,
    workers,
)
from jobserver.jobs.clock import Reading
from jobserver.jobs.quota import SpaceLimits
from jobserver.settings import Settings

HOUSEKEEPING_S = 60.0
TURN_SHARE = 0.9  # of HOUSEKEEPING_S: who had the last turn is not too early for the next
DAY_S = 24 * 3600.0
EXPIRED_IDS_KEPT_S = 30 * 24 * 3600.0  # how long an expired job is a 410, not a 404


class Housekeeper:
    """Does a round; remembers its own last reading of the clocks."""

    def __init__(
        self,
        db: Connection,
        store: Store,
        limits: SpaceLimits,
        *,
        lifetime_s: float,
        audit_s: float,
    ) -> None:
        """lifetime_s: how long jobs are kept. audit_s: how long it is known who did what."""
        self._db, self._store, self._limits = db, store, limits
        self._lifetime_s, self._audit_s = lifetime_s, audit_s
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
            resumable.expire(db, store, resumable.expired_ids(db, now) if trusted else [])
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
            idempotency.forget_abandoned(db, now)
            webhooks.forget(db)
            if trusted:
                retention.forget_expired(db, now - EXPIRED_IDS_KEPT_S)
                audit.forget(db, now - self._audit_s)
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


class House:
    """The housekeeping of this process, in one thread."""

    def __init__(
        self, housekeeper: Housekeeper, db: Connection, place: Place, faults: FaultLog
    ) -> None:
        self._housekeeper, self._db, self._faults = housekeeper, db, faults
        self._place, self._identity = place, identity(place)

    @classmethod
    def of(cls, settings: Settings, db: Connection, store: Store, faults: FaultLog) -> Self:
        """Keep house as the settings say. faults: of this process."""
        housekeeper = Housekeeper(
            db,
            store,
            SpaceLimits.of(settings),
            lifetime_s=float(settings.job_lifetime),
            audit_s=settings.audit_days * DAY_S,
        )
        return cls(housekeeper, db, settings.database_place, faults)

    def keep(self, shutdown: socket.socket) -> None:
        """Do a round now and then until the shutdown signal."""
        shutdown.settimeout(HOUSEKEEPING_S)
        while True:
            self.round()
            with suppress(TimeoutError):
                shutdown.recv(1)
                return

    def round(self) -> None:
        """Do a round, if it is ours to do; what it cannot do is logged. Raises DatabaseUnusable."""
        try:
            if identity(self._place) != self._identity:
                raise DatabaseUnusable("Another database has taken the place of ours")
            now = self._db.clock()
            if not many_hosts(self._place) or self._has_turn(now):
                self._housekeeper.round(now, time.monotonic())
            self._faults.over("housekeeping")
        except DatabaseUnusable:
            raise
        except (DatabaseError, OSError) as error:  # busy, full, not mounted: next time
            cause = error.__cause__ or error
            self._faults.seen("housekeeping", f"housekeeping failed: {cause}", kind=_kind(error))

    def _has_turn(self, now: float) -> bool:
        """Of all hosts one worker does the round of a minute; when it died, another the next."""
        with claiming(self._db):
            return take_turn(self._db, "housekeeping", now + TURN_SHARE * HOUSEKEEPING_S, now)


def _kind(error: Exception) -> str:
    """Return what is the same of an error each time: its paths may differ."""
    return f"{type(error).__name__} {getattr(error, 'errno', '')}"
