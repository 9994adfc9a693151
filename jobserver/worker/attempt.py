"""One attempt at a claimed file, and what each way in which it can end leads to.

A claim ends after one unit of work, as a group of variations: the first are seen early, small jobs
are let through, and after a crash the next claim of the file goes on where it stopped.
"""

import logging

from jobserver import metrics, render
from jobserver.db import (
    Connection,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    claiming,
    exclusive,
)
from jobserver.errors import FetchCancelled, StoreUnreachable
from jobserver.jobs import queries, queue
from jobserver.jobs.model import MAX_ATTEMPTS, Claim
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.publish import end_claim
from jobserver.worker.readiness import Readiness, is_full_disk
from jobserver.worker.units import Units

RETRY_DELAYS_S = (5.0, 30.0)  # before the second and the third attempt
ASK_AGAIN_S = 1.0  # whether the database answers again
GAVE_UP = f"This video could not be rendered; {MAX_ATTEMPTS} attempts failed."

log = logging.getLogger(__name__)


class Attempt:
    """Ends claims, one after the other, in one of the ways there are."""

    def __init__(self, db: Connection, units: Units, readiness: Readiness) -> None:
        self._db, self._units, self._readiness = db, units, readiness

    def run(self, held: HeldClaim) -> None:
        """Do what the claim is for; then it is released, finished, failed or rescheduled."""
        claim = held.claim
        if claim.attempts > MAX_ATTEMPTS:  # this file has crashed its worker each time
            self._give_up(held, GAVE_UP)
            return
        try:
            if self._units.work(held):
                self._readiness.has_published()
            else:
                self._after_loss(claim)
        except (render.Cancelled, FetchCancelled):
            if held.lost:
                self._after_loss(claim)
            else:
                self._reschedule(claim, 0, counted=False)
                log.info("%s: given back", claim.label, extra=claim.fields)
        except render.MediaError as error:
            metrics.render_failed(error)
            self._give_up(held, str(error), error.detail)
        except (render.EngineError, OSError, DatabaseError) as error:
            self._after_trouble(held, error)

    def _after_loss(self, claim: Claim) -> None:
        """Say whether the job was cancelled, or another worker has the file."""
        if queries.is_unfinished(self._db, claim.id):
            metrics.lease_lost()
            log.warning("%s: lost to another worker", claim.label, extra=claim.fields)
        else:
            log.info("%s: cancelled", claim.label, extra=claim.fields)

    def _after_trouble(self, held: HeldClaim, error: Exception) -> None:
        """Try again later: MAX_ATTEMPTS times, but as long as it takes while a disk is full

        or the database or the store away. Another worker may reach the store, so the file
        waits for less.
        """
        claim, last_delay = held.claim, RETRY_DELAYS_S[-1]
        if isinstance(error, render.EngineError):
            metrics.render_failed(error)
        if isinstance(error, (DatabaseBusy, DatabaseUnavailable)):
            log.warning("%s: %s (%s)", claim.label, error, error.__cause__, extra=claim.fields)
            self._give_back(held)
            return
        if isinstance(error, StoreUnreachable):
            self._readiness.note_unreachable(error, last_delay)
            self._reschedule(claim, RETRY_DELAYS_S[0], counted=False)
            return
        if is_full_disk(error):
            self._readiness.note_full(error, last_delay)
            self._reschedule(claim, last_delay, counted=False)
            return
        words = f"{error} {getattr(error, 'detail', '')}".rstrip()
        log.warning("%s: %s", claim.label, words, extra=claim.fields)
        if not self._readiness.has_folders(self._db):  # gone meanwhile
            self._reschedule(claim, last_delay, counted=False)
        elif claim.attempts >= MAX_ATTEMPTS:
            self._give_up(held, GAVE_UP)
        else:
            self._reschedule(claim, RETRY_DELAYS_S[claim.attempts - 1])

    def _give_up(self, held: HeldClaim, reason: str, detail: str = "") -> None:
        claim = held.claim
        if self._fail(held, reason):
            log.warning(
                "%s: gave up: %s",
                claim.label,
                f"{reason} {detail}".rstrip(),
                extra={**claim.fields, "reason": reason},
            )
            self._remove_leftovers(claim)

    def _fail(self, held: HeldClaim, reason: str) -> bool:
        db, claim = self._db, held.claim
        if claim.planned is not None:
            store = self._units.bench.store
            return end_claim(
                db, store, held, [], end=lambda now: queue.fail(db, claim, reason, now)
            )
        with exclusive(db, "queue"):
            return queue.fail(db, claim, reason, db.clock())

    def _remove_leftovers(self, claim: Claim) -> None:
        try:
            self._units.remove_leftovers(claim)
        except OSError as error:  # the sweep finds them
            log.warning("%s: cannot remove its scratch folders: %s", claim.label, error)

    def _give_back(self, held: HeldClaim) -> None:
        """Give a claim back, uncounted, once the database answers; or lose it meanwhile."""
        while True:
            try:
                self._reschedule(held.claim, RETRY_DELAYS_S[0], counted=False)
                return
            except (DatabaseBusy, DatabaseUnavailable):
                if held.cancel.wait(ASK_AGAIN_S):
                    return

    def _reschedule(self, claim: Claim, delay_s: float, counted: bool = True) -> None:
        with claiming(self._db):
            queue.reschedule(self._db, claim, delay_s, now=self._db.clock(), counted=counted)
