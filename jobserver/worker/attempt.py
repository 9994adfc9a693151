"""One attempt at a claimed file, and what each way in which it can end leads to.

A claim ends after one group of variations: the first are seen early, small jobs are let
through, and after a crash the next claim of the file goes on where it stopped.
"""

import errno
import logging
import time

from jobserver import render
from jobserver.db import Connection, DatabaseError, DatabaseFull, claiming, exclusive
from jobserver.files.store import Store
from jobserver.jobs import ownership, queue
from jobserver.jobs.model import MAX_ATTEMPTS, Claim
from jobserver.worker.group import GroupRenderer
from jobserver.worker.heartbeat import HeldClaim

RETRY_DELAYS_S = (5.0, 30.0)  # before the second and the third attempt
GAVE_UP = f"This video could not be rendered; {MAX_ATTEMPTS} attempts failed."

log = logging.getLogger(__name__)


class Attempt:
    """Ends claims, one after the other, in one of the ways there are."""

    def __init__(self, db: Connection, store: Store, renderer: GroupRenderer) -> None:
        self._db, self._store, self._renderer = db, store, renderer

    def run(self, held: HeldClaim) -> None:
        """Render the claim's next group; then it is released, finished, failed or rescheduled."""
        claim = held.claim
        if claim.attempts > MAX_ATTEMPTS:  # this file has crashed its worker each time
            self._fail(claim, GAVE_UP)
            return
        # a volume may not be mounted; its files come back with it
        if not ownership.owns_all(self._db, self._store):
            self._reschedule(claim, RETRY_DELAYS_S[-1], counted=False)
            return
        try:
            self._renderer.render_next(held)
        except render.Cancelled:
            if not held.lost:
                self._reschedule(claim, 0, counted=False)
        except render.MediaError as error:
            log.info("%s: %s %s", claim.id, error, error.detail)
            self._fail(claim, str(error))
        except (render.EngineError, OSError, DatabaseError) as error:
            self._after_trouble(claim, error)

    def _after_trouble(self, claim: Claim, error: Exception) -> None:
        """Try again later: as long as it takes while a disk is full, else MAX_ATTEMPTS times."""
        log.warning("%s: %s %s", claim.id, error, getattr(error, "detail", ""))
        if _is_full_disk(error):
            self._reschedule(claim, RETRY_DELAYS_S[-1], counted=False)
        elif claim.attempts >= MAX_ATTEMPTS:
            self._fail(claim, GAVE_UP)
        else:
            self._reschedule(claim, RETRY_DELAYS_S[claim.attempts - 1])

    def _fail(self, claim: Claim, reason: str) -> None:
        with exclusive(self._db, "queue"):
            queue.fail(self._db, claim, reason, time.time())

    def _reschedule(self, claim: Claim, delay_s: float, counted: bool = True) -> None:
        with claiming(self._db):
            queue.reschedule(self._db, claim, delay_s, now=time.time(), counted=counted)


def _is_full_disk(error: Exception) -> bool:
    full = isinstance(error, (render.DiskFull, DatabaseFull))
    return full or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
