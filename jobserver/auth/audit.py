"""Who did what to which job: rows that are only added, in the transaction of the act.

They are kept for AUDIT_DAYS, also of jobs and keys that have gone. What anybody can cause without
a password, a wrong one, is recorded so often a minute and no more.
"""

import json
from typing import Any, Literal, NamedTuple

from jobserver.db import Connection

Action = Literal[
    "job.create",
    "job.again",
    "job.cancel",
    "job.retry",
    "job.delete",
    "key.create",
    "key.revoke",
    "sign-in",
    "sign-in.failed",
    "sign-out.all",
]
MOST_A_MINUTE = 60  # sign-ins, and failed ones
NOBODY = "nobody"


class Entry(NamedTuple):
    """actor: `session <id>`, `key <id>` or `nobody`. at: Unix seconds. data: a JSON object."""

    id: int
    at: float
    actor: str
    action: str
    job_id: str | None
    address: str | None
    data: str


class Actor(NamedTuple):
    """Who acts, and from which address."""

    name: str
    address: str | None


def record(
    db: Connection,
    actor: Actor,
    action: Action,
    now: float,
    *,
    job_id: str | None = None,
    **data: Any,
) -> None:
    """Record an act in the transaction that does it. data: small, and no secret."""
    query = """
        INSERT INTO audit (at, actor, action, job_id, address, data)
        VALUES (:at, :actor, :action, :job_id, :address, :data)"""
    values = {"at": now, "actor": actor.name, "address": actor.address}
    db.write(query, {**values, "action": action, "job_id": job_id, "data": json.dumps(data)})


def record_sign_in(db: Connection, actor: Actor, action: Action, now: float) -> None:
    """As record(), unless there were so many within a minute: a flood fills no disk."""
    query = "SELECT COUNT(*) FROM audit WHERE at > :since AND at <= :now AND action = :action"
    values = {"since": now - 60, "now": now, "action": action}
    if db.value(query, values) < MOST_A_MINUTE:
        record(db, actor, action, now)


def entries(
    db: Connection, limit: int, *, job_id: str | None = None, actor: str | None = None
) -> list[Entry]:
    """Return the latest entries, first to last: of all, of a job, or of an actor."""
    asked = {"job_id": job_id, "actor": actor}
    wanted = {name: value for name, value in asked.items() if value is not None}
    conditions = " AND ".join(["1 = 1", *(f"{name} = :{name}" for name in wanted)])
    query = f"""
        SELECT {", ".join(Entry._fields)} FROM audit WHERE {conditions}
        ORDER BY id DESC LIMIT :limit"""  # noqa: S608  names of ours
    return db.all(Entry, query, {**wanted, "limit": limit})[::-1]


def forget(db: Connection, before: float) -> None:
    """Remove what is older than a Unix time."""
    db.write("DELETE FROM audit WHERE at < :before", {"before": before})
