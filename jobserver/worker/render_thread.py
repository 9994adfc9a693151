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
from jobserver.worker.heartbeat import Heartbeat, HeldClaim
from jobserver.worker.idling import Idling
from jobserver.worker.readiness import Readiness
from jobserver.worker.units import Units
from jobserver.worker.workbench import Workbench

LOCK_TIMEOUT_S = 30.0  # a finished render is worth a longer wait for the database than a request

log = logging.getLogger(__name__)


class RenderThread:
    """Renders one claim after the other; `work_once` returns whether it found any.

    failed: it could not look, or what it began ended with a fault of ours. raised: how many files
    of its job the last one has let others claim.
    """

    def __init__(
        self, database: Place, store: Store, settings: render.Settings, beat: Heartbeat
    ) -> None:
        self._database, self._store, self._settings = database, store, settings
        self._heartbeat, self._presence = beat, beat.presence
        self._readiness = Readiness(store, beat.presence)
        self._made_with = made_with(settings)
        self.failed = False
        self.raised = 0

    @cached_property
    def _db(self) -> Connection:
        """Made by the thread that works: sqlite3 lets no other use it."""
        return connect(self._database, LOCK_TIMEOUT_S)

    @cached_property
    def _attempt(self) -> Attempt:
        bench = Workbench(self._db, self._store, self._settings, self._made_with)
        return Attempt(self._db, Units(bench), self._readiness)

    def run(self, stopping: threading.Event, *, once: bool = False) -> None:
        """Work until `stopping` is set; once: or until no file is found, nor worked on beside us.

        What another thread ends may let files be claimed that waited for it.
        """
        idling = Idling(many_hosts=many_hosts(self._database))
        while not stopping.is_set():
            alone = not self._heartbeat.is_busy  # before the look: what had ended by then is seen
            if self.work_safely():
                idling.reset()
            elif once and alone:
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
        """Claim the next file and do its next unit of work; False if it cannot."""
        db, self.raised = self._db, 0
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
            extra={**claim.fields, "attempt": claim.attempts, "worker": self._presence.name},
        )
        held = HeldClaim(claim, progress=claim.progress)
        with self._heartbeat.renewing(held):
            self._attempt.run(held)
        self.raised = held.raised
        return True
