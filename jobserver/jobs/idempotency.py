"""Idempotency keys: a request that is repeated makes no second job.

A row a key, and its primary key decides who runs. A running request holds the row by a lease,
which it renews while its body comes. When it makes the job, it writes there what was asked for
and answered, in the same transaction; so the row lasts as long as the job. A request that died
leaves a lease that ends, and then the next with this key takes the row over. One that was only
slow finds out when it wants to make its job: the row names another holder.

Functions that write need the caller's transaction. Times are by the database's clock.
"""

from typing import NamedTuple

from jobserver.db import Connection
from jobserver.errors import IdempotencyKeyInUse

LEASE_S = 30.0  # seconds without a byte, a sync or a commit that a request may take
ABANDONED_S = 3600.0  # after the end of a lease; then nobody repeats that request


class Holder(NamedTuple):
    """A request with a key. bearer: whose key it is; holder: this request, no other has it."""

    bearer: str
    key: str
    holder: str


class Kept(NamedTuple):
    """What a request with this key asked for, and the body of its 202."""

    fingerprint: str
    answer: str


def take(db: Connection, holder: Holder, now: float) -> bool:
    """Hold the key from now on; False while another request does, or a job was made with it.

    A lease further away than any that is given was given before the clock was set back. A job
    that is being deleted has its key no more.
    """
    query = """
        INSERT INTO idempotency_key (bearer, key, holder, lease_until)
        VALUES (:bearer, :key, :holder, :until)
        ON CONFLICT (bearer, key) DO UPDATE
        SET holder = :holder, lease_until = :until, job_id = NULL, fingerprint = NULL,
            answer = NULL
        WHERE CASE WHEN idempotency_key.job_id IS NULL
            THEN idempotency_key.lease_until <= :now OR idempotency_key.lease_until > :latest
            ELSE EXISTS (SELECT 1 FROM job WHERE job.id = idempotency_key.job_id
                         AND job.removed_at IS NOT NULL) END"""
    times = {"now": now, "until": now + LEASE_S, "latest": now + 2 * LEASE_S}
    return db.write(query, {**holder._asdict(), **times}) == 1


def kept(db: Connection, holder: Holder) -> Kept | None:
    """Return what was made with the key, or None: nothing yet, or its job is being deleted."""
    query = """
        SELECT fingerprint, answer FROM idempotency_key JOIN job ON job.id = job_id
        WHERE bearer = :bearer AND key = :key AND job.removed_at IS NULL"""
    return db.one(Kept, query, holder._asdict())


def renew(db: Connection, holder: Holder, now: float) -> bool:
    """Hold the key for longer; False when another request has it."""
    query = f"UPDATE idempotency_key SET lease_until = :until WHERE {_HELD}"  # noqa: S608
    return db.write(query, {**holder._asdict(), "until": now + LEASE_S}) == 1


def keep(db: Connection, holder: Holder, job_id: str, made: Kept) -> None:
    """Keep what was asked for and answered, in the transaction that makes the job.

    Raises IdempotencyKeyInUse when another request has the key: then this one makes no job.
    """
    query = f"""
        UPDATE idempotency_key
        SET job_id = :job_id, fingerprint = :fingerprint, answer = :answer
        WHERE {_HELD}"""  # noqa: S608
    if db.write(query, {**holder._asdict(), **made._asdict(), "job_id": job_id}) != 1:
        raise IdempotencyKeyInUse


def release(db: Connection, holder: Holder) -> None:
    """Let the key go after a request that made no job; one that made one keeps it."""
    db.write(f"DELETE FROM idempotency_key WHERE {_HELD}", holder._asdict())  # noqa: S608


def forget_abandoned(db: Connection, now: float) -> None:
    """Delete what died requests held and nobody has repeated."""
    query = "DELETE FROM idempotency_key WHERE job_id IS NULL AND lease_until < :before"
    db.write(query, {"before": now - ABANDONED_S})


_HELD = "bearer = :bearer AND key = :key AND holder = :holder AND job_id IS NULL"
