"""The header Idempotency-Key: who repeats a request gets the answer that was made before.

For a client that does not know whether its upload arrived: the same key and the same content are
one job, over all processes and hosts, and whatever is killed between the job and its answer.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Response, current_app, request

from jobserver.db import DatabaseError, claiming, removing
from jobserver.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    OutcomeUnknown,
)
from jobserver.ids import generate_id
from jobserver.jobs import idempotency
from jobserver.jobs.idempotency import Holder, Kept
from jobserver.uploads import Fingerprint
from jobserver.web.bearers import bearer
from jobserver.web.context import get_db

MAX_LENGTH = 255  # characters
WAIT_S = 10.0  # that a request waits for another with its key
PAUSE_S = 0.1  # between two looks at it
MAX_WAITING = 4  # requests of one process: they hold threads

_waiting = threading.BoundedSemaphore(MAX_WAITING)


class Attempt:
    """One request that makes a job; without the header it does nothing of its own.

    kept: what was made with the key before; then replay() is the answer. fingerprint: computes
    what a form asks for, None without the header: nothing is hashed then.
    """

    def __init__(self, holder: Holder | None) -> None:
        self._holder = holder
        self.fingerprint = None if holder is None else Fingerprint()
        self.kept: Kept | None = None
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Hold the key for longer, called as the body comes. Raises IdempotencyKeyInUse.

        A database that is busy loses nothing: keep() decides.
        """
        due = time.monotonic() - self._renewed > idempotency.LEASE_S / 3
        if self._holder is None or self.kept is not None or not due:
            return
        self._renewed = time.monotonic()
        db = get_db()
        with suppress(DatabaseError), claiming(db):
            if not idempotency.renew(db, self._holder, db.clock()):
                raise IdempotencyKeyInUse

    def keep(self, job_id: str, answer: str, fingerprint: str | None = None) -> None:
        """Keep the answer as long as the job, in the transaction that makes it.

        fingerprint: of what was asked for; None: of the form. Raises IdempotencyKeyInUse.
        """
        if self._holder is not None and self.fingerprint is not None:
            asked = fingerprint or self.fingerprint.hexdigest()
            idempotency.keep(get_db(), self._holder, job_id, Kept(asked, answer))

    def replay(self, fingerprint: str | None = None) -> Response:
        """Answer as before. Raises IdempotencyKeyReused when something else was asked for then."""
        assert self.kept is not None  # noqa: S101  the caller has looked
        assert self.fingerprint is not None  # noqa: S101  there is a key
        if self.kept.fingerprint != (fingerprint or self.fingerprint.hexdigest()):
            raise IdempotencyKeyReused
        answer = accepted(self.kept.answer)
        answer.headers["Idempotent-Replayed"] = "true"
        return answer

    def begin(self) -> None:
        """Take the key, or find what was made with it. Raises IdempotencyKeyInUse."""
        if self._holder is None or self._begun(self._holder):
            return
        if not _waiting.acquire(blocking=False):
            raise IdempotencyKeyInUse
        try:
            end = time.monotonic() + WAIT_S
            while not self._begun(self._holder):
                if time.monotonic() > end:
                    raise IdempotencyKeyInUse
                time.sleep(PAUSE_S)
        finally:
            _waiting.release()

    def release(self) -> None:
        """End without a job. What cannot be written now ends with the lease."""
        if self._holder is not None and self.kept is None:
            db = get_db()
            with suppress(DatabaseError), removing(db, "quota"):
                idempotency.release(db, self._holder)

    def _begun(self, holder: Holder) -> bool:
        """Look before writing: a replay needs neither the lock nor space on the disk."""
        db = get_db()
        self.kept = idempotency.kept(db, holder)
        if self.kept is not None:
            return True
        with claiming(db):
            taken = idempotency.take(db, holder, db.clock())
        self._renewed = time.monotonic()
        return taken


@contextmanager
def attempt() -> Iterator[Attempt]:
    """Make at most one job inside `with` of all requests that have this request's key.

    Raises InvalidIdempotencyKey or IdempotencyKeyInUse, by the headers alone.
    """
    key = _given_key()
    begun = Attempt(None if key is None else Holder(bearer().owner, key, generate_id()))
    begun.begin()
    try:
        yield begun
    except OutcomeUnknown:
        raise  # the job may be there, and its key with it; else the lease ends
    except BaseException:
        begun.release()
        raise


def accepted(body: str) -> Response:
    """Answer 202 with the JSON of a job, and its address."""
    location: str = current_app.json.loads(body)["statusUrl"]
    return Response(body, 202, {"Location": location}, mimetype="application/json")


def _given_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidIdempotencyKey
    return key
