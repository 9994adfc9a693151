"""One of a worker's WORKERS threads: claim, attempt, again."""

import logging
import threading
from functools import cached_property

from jobserver import render
from jobserver.db import (
    Connection,
    DatabaseError,
    DatabaseFull,
    Place,
    claiming,
    connect,
    many_hosts,
)
from jobserver.files.store import Store
from jobserver.jobs import queue
from jobserver.worker import attempt, heartbeat
from jobserver.worker.attempt import Attempt
from jobserver.worker.engine import made_with
from jobserver.worker.group import GroupRenderer
from jobserver.worker.heartbeat import Heartbeat, HeldClaim
from jobserver.worker.idling import Idling
from jobserver.worker.readiness import Readiness

LOCK_TIMEOUT_S = 30.0  # a finished render is worth a longer wait for the database than a request

log = logging.getLogger(__name__)


class RenderThread:
    """Renders one claim after the other; `work_once` returns whether it found any.

    failed: it could not look, or what it began ended with a fault of ours.
    """

    def __init__(
        self, database: Place, store: Store, settings: render.Settings, beat: Heartbeat
    ) -> None:
        self._database, self._store, self._settings = database, store, settings
        self._heartbeat, self._presence = beat, beat.presence
        self._readiness = Readiness(store, beat.presence)
        self._made_with = made_with(settings)
        self.failed = False

    @cached_property
    def _db(self) -> Connection:
        """Made by the thread that works: sqlite3 lets no other use it."""
        return connect(self._database, LOCK_TIMEOUT_S)

    @cached_property
    def _attempt(self) -> Attempt:
        renderer = GroupRenderer(self._db, self._store, self._settings, self._made_with)
        return Attempt(self._db, renderer, self._readiness)

    def run(self, stopping: threading.Event, *, once: bool = False) -> None:
        """Work until `stopping` is set; once: or until no file is found."""
        idling = Idling(many_hosts=many_hosts(self._database))
        while not stopping.is_set():
            if self.work_safely():
                idling.reset()
            elif once:
                break
            else:
                stopping.wait(idling.next_s())
        if "_db" in self.__dict__:  # else it could not connect
            self._db.close()

    def work_safely(self) -> bool:
        """Do what work_once() does; a bug costs a file an attempt, not the thread."""
        faults = self._presence.faults
        self.failed = True
        try:
            found = self.work_once()
        except DatabaseFull as error:
            self._readiness.note_full(error, attempt.RETRY_DELAYS_S[-1])
            return False
        except DatabaseError as error:  # busy, damaged
            faults.seen("claim", f"cannot claim: {error} ({error.__cause__})")
            return False
        except Exception as error:
            kind = f"{type(error).__name__}: {error}"
            faults.seen("claim", f"the render thread goes on after {kind}", error=error)
            return False
        self.failed = False
        faults.over("claim")
        return found

    def work_once(self) -> bool:
        """Claim the next file, render its next variations and publish them; False if it cannot."""
        db = self._db
        if not queue.has_claimable(db, heartbeat.LEASE_S, db.clock()):
            return False
        if not self._readiness.may_claim(db):
            return False
        with claiming(db):
            near = self._store.near_uploads()
            claim = queue.claim(db, self._presence.name, heartbeat.LEASE_S, db.clock(), near=near)
        if claim is None:
            return False
        again = self._readiness.was_full  # tried now and then for as long as that lasts
        log.log(
            logging.DEBUG if again else logging.INFO,
            "%s: claimed, attempt %d",
            claim.label,
            claim.attempts,
        )
        held = HeldClaim(claim, progress=claim.progress)
        with self._heartbeat.renewing(held):
            self._attempt.run(held)
        return True
