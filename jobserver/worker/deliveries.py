"""Delivers webhooks beside the renders: a receiver that hangs costs none of them a second.

One thread looks for what is due, claims it and records what became of it; each attempt has a
thread of its own. At most MOST run at once, MOST_A_HOST to one host, so that a receiver that
hangs holds up no other.
"""

import logging
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from jobserver.auth.keys import signing_keys
from jobserver.db import Connection, claiming, connect
from jobserver.errors import JobserverError
from jobserver.fault_log import FaultLog
from jobserver.jobs import webhooks
from jobserver.jobs.webhooks import Delivery
from jobserver.settings import Settings
from jobserver.version import VERSION
from jobserver.webhooks.post import Failure, Message, post
from jobserver.webhooks.signature import signed_headers

IDLE_S = 1.0  # between two looks: each is a read of one index
LEASE_S = 60.0  # an attempt takes 10 s at most, and a look-up of its host before it
MOST, MOST_A_HOST = 16, 2
CLOSE_S = 2.0  # that attempts get to end when the process stops; others make them again

log = logging.getLogger(__name__)


class _Outcome(NamedTuple):
    """How an attempt ended: the status of its answer, or why there is none."""

    delivery: Delivery
    answer: int | None
    error: str | None


class Deliveries:
    """The deliveries of a process."""

    def __init__(self, settings: Settings, faults: FaultLog) -> None:
        self._settings, self._faults = settings, faults
        self._outcomes: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()
        self._running: Counter[str] = Counter()  # attempts by host
        self._stopping = threading.Event()
        self._drained: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver while inside `with`."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._outcomes.put(None)  # wakes it
            self._thread.join(CLOSE_S)

    def drain(self, drained: Callable[[], object]) -> threading.Thread:
        """Deliver what is due, call `drained`, and end; return the thread that does."""
        self._drained = drained
        return self._thread

    def _run(self) -> None:
        db: Connection | None = None
        while not self._stopping.is_set():
            drained = self._drained  # before the look: what was due by then is seen
            try:
                db = db or connect(self._settings.database_place)
                found = self._round(db)
            except (JobserverError, OSError) as error:
                self._faults.seen("webhooks", f"cannot deliver webhooks: {error}")
                found = False
                self._stopping.wait(IDLE_S)
            if drained is not None and not found:
                drained()
                break
        if db is not None:
            db.close()

    def _round(self, db: Connection) -> bool:
        """Begin what is due, and record what has ended; return whether there was either."""
        self._start_due(db, signing_keys(self._settings))
        found = bool(self._running)
        self._record(db, IDLE_S)
        self._faults.over("webhooks")
        return found

    def _start_due(self, db: Connection, keys: tuple[str, ...]) -> None:
        """Begin as many attempts as may run. Raises DatabaseError."""
        while sum(self._running.values()) < MOST and webhooks.is_due(db, db.clock()):
            busy = [host for host, count in self._running.items() if count >= MOST_A_HOST]
            with claiming(db):
                delivery = webhooks.claim(db, LEASE_S, db.clock(), busy_hosts=busy)
            if delivery is None:
                return
            self._running[delivery.host] += 1
            arguments = (delivery, keys, int(db.clock()))
            threading.Thread(target=self._attempt, args=arguments, daemon=True).start()

    def _attempt(self, delivery: Delivery, keys: tuple[str, ...], timestamp: int) -> None:
        answer, error = None, None
        try:
            answer = post(_message(delivery, keys, timestamp), self._settings.webhook_allow)
        except Failure as failure:
            error = str(failure)
        except Exception as failure:
            log.exception("webhook %s: an attempt failed", delivery.id)
            error = type(failure).__name__
        self._outcomes.put(_Outcome(delivery, answer, error))

    def _record(self, db: Connection, wait_s: float) -> None:
        """Record what has ended; wait for the first. Raises DatabaseError: it is made again."""
        try:
            outcome = self._outcomes.get(timeout=wait_s)
            while outcome is not None:
                self._end(db, outcome)
                outcome = self._outcomes.get_nowait()
        except queue.Empty:
            pass

    def _end(self, db: Connection, outcome: _Outcome) -> None:
        delivery, answer, error = outcome
        self._running[delivery.host] -= 1
        self._running += Counter()  # without those that have none
        spread = random.uniform(-1, 1)  # noqa: S311  no secret
        with claiming(db):
            status = webhooks.end(
                db, delivery, answer=answer, error=error, spread=spread, now=db.clock()
            )
        what = error or f"answered {answer}"
        level = logging.WARNING if status == "failed" else logging.INFO
        of = f"{delivery.id}: {delivery.kind} to {delivery.host}, attempt {delivery.attempts}"
        log.log(level, "webhook %s: %s", of, f"{what}; {status or 'made by another'}")


def _message(delivery: Delivery, keys: tuple[str, ...], timestamp: int) -> Message:
    body = delivery.body.encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"jobserver/{VERSION}",
        **signed_headers(keys, delivery.id, body, timestamp),
    }
    return Message(delivery.url, headers, body)
