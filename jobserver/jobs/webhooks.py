"""Deliveries of webhooks: rows that are written with the change they speak of.

A delivery is due at `next_at`. Who claims one puts that behind a lease, so that what a killed
worker held is due again; `attempts` fences, as a claim_token does. A row has all that it takes
to deliver it, so it outlives its job.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from jobserver.db import Connection
from jobserver.ids import generate_id
from jobserver.jobs import queries
from jobserver.jobs.model import WEBHOOK_EVENTS, Webhook
from jobserver.times import iso_utc

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 3600.0
TRIED_FOR_S = 24 * 3600.0
_FURTHEST_S = 2 * LONGEST_RETRY_S  # no attempt is due later, unless the clock was set back
SHOWN = 1000  # of one job, the newest

Status = Literal["pending", "delivered", "failed"]


class Delivery(NamedTuple):
    """One event for one receiver. job_id: None once its job has gone. kind: of the event.

    since: when its day of attempts began. next_at: None unless it is pending. attempts: that
    began. tried_at: when the last one ended. answer: its status; error: why there was none.
    """

    id: str
    job_id: str | None
    kind: str
    url: str
    host: str
    body: str
    status: Status
    created_at: float
    since: float
    next_at: float | None
    attempts: int
    tried_at: float | None
    answer: int | None
    error: str | None


_COLUMNS = ", ".join(Delivery._fields)


# -- what a job asks for -------------------------------------------------------------------


def insert(db: Connection, job_id: str, webhook: Webhook) -> None:
    """Keep what a job asks for, in the transaction that queues it."""
    query = "INSERT INTO webhook (job_id, url, events) VALUES (:job_id, :url, :events)"
    events = " ".join(webhook.events)
    db.write(query, {"job_id": job_id, "url": webhook.url, "events": events})


def find(db: Connection, job_id: str) -> Webhook | None:
    """Return what a job has asked for, or None."""
    query = "SELECT url, events FROM webhook WHERE job_id = :id"
    row = db.execute(query, {"id": job_id}).fetchone()
    return None if row is None else Webhook(row[0], tuple(row[1].split()))


# -- an event ------------------------------------------------------------------------------


def record_job(db: Connection, job_id: str, kind: str, now: float) -> None:
    """Let the receiver of a job know what it has become, in the transaction of that change."""
    if kind in WEBHOOK_EVENTS and (webhook := _wanted(db, job_id, kind)):
        _insert(db, job_id, webhook, kind=kind, data=[_job_data(db, job_id)], now=now)


def record_outputs(
    db: Connection, job_id: str, *, kind: str, ids: Iterable[str], now: float
) -> None:
    """As record_job(), of outputs that have just been listed: a delivery each."""
    if kind in WEBHOOK_EVENTS and (webhook := _wanted(db, job_id, kind)):
        data = [_output_data(db, job_id, output_id) for output_id in ids]
        _insert(db, job_id, webhook, kind=kind, data=data, now=now)


def _wanted(db: Connection, job_id: str, kind: str) -> Webhook | None:
    webhook = find(db, job_id)
    return webhook if webhook is not None and kind in webhook.events else None


def _insert(
    db: Connection,
    job_id: str,
    webhook: Webhook,
    *,
    kind: str,
    data: Iterable[Mapping[str, Any]],
    now: float,
) -> None:
    db.write_many(
        """INSERT INTO webhook_delivery (id, job_id, kind, url, host, body, created_at, since,
                                         next_at)
           VALUES (:id, :job_id, :kind, :url, :host, :body, :now, :now, :now)""",
        [
            {
                "id": f"msg_{generate_id()}",
                "job_id": job_id,
                "kind": kind,
                "url": webhook.url,
                "host": urlsplit(webhook.url).hostname,
                "body": json.dumps({"type": kind, "timestamp": iso_utc(now), "data": each}),
                "now": now,
            }
            for each in data
        ],
    )


def _job_data(db: Connection, job_id: str) -> dict[str, Any]:
    job = queries.find_job(db, job_id)
    assert job is not None  # noqa: S101  its change is being recorded
    return {
        "jobId": job_id,
        "status": job.status,
        "title": job.title,
        "totalVideos": job.total_videos,
        "totalVariations": job.total_variations,
        "completedVariations": sum(queries.output_counts(db, job_id).values()),
        "files": [
            {"id": file.id, "name": file.name, "status": file.status, "error": file.error}
            for file in queries.videos_of(db, job_id)
        ],
    }


def _output_data(db: Connection, job_id: str, output_id: str) -> dict[str, Any]:
    output = queries.find_output(db, job_id, output_id)
    assert output is not None  # noqa: S101  it has just been listed
    return {
        "jobId": job_id,
        "fileId": output.file_id,
        "outputId": output.id,
        "name": output.name,
        "size": output.size,
        "sha256": output.sha256,
    }


# -- delivering ----------------------------------------------------------------------------

# A lease or a wait further away than any was set before the clock was set back.
_DUE = "next_at IS NOT NULL AND (next_at <= :now OR next_at > :now + :furthest_s)"


def is_due(db: Connection, now: float) -> bool:
    """Return whether any delivery is due; reads only, so who looks disturbs nobody."""
    query = f"SELECT EXISTS (SELECT 1 FROM webhook_delivery WHERE {_DUE})"  # noqa: S608
    return bool(db.value(query, {"now": now, "furthest_s": _FURTHEST_S}))


def claim(
    db: Connection, lease_s: float, now: float, *, busy_hosts: Collection[str] = ()
) -> Delivery | None:
    """Give a delivery that is due to this worker, or return None. `claiming`.

    lease_s: seconds until another may try it. busy_hosts: whose deliveries are left alone.
    """
    hosts = {f"host{n}": host for n, host in enumerate(busy_hosts)}
    others = f"AND host NOT IN ({', '.join(f':{name}' for name in hosts)})" if hosts else ""
    query = f"""
        UPDATE webhook_delivery SET next_at = :now + :lease_s, attempts = attempts + 1
        WHERE id = (SELECT due.id FROM webhook_delivery AS due WHERE {_DUE} {others}
                    ORDER BY next_at LIMIT 1 {db.skip_locked("due")})
        RETURNING {_COLUMNS}"""  # noqa: S608
    values = {"now": now, "lease_s": lease_s, "furthest_s": _FURTHEST_S}
    return db.one(Delivery, query, {**values, **hosts})


def end(
    db: Connection,
    delivery: Delivery,
    *,
    answer: int | None,
    error: str | None,
    spread: float = 0.0,
    now: float,
) -> Status | None:
    """End an attempt; return what has become of the delivery, None when another has it.

    answer: the status of the answer, or None and an error. spread: -1 to 1, lets attempts that
    failed together be repeated apart.
    """
    status, next_at = judge(delivery.since, answer, spread, now)
    query = """
        UPDATE webhook_delivery
        SET status = :status, next_at = :next_at, answer = :answer, error = :error,
            tried_at = :now
        WHERE id = :id AND attempts = :attempts AND next_at IS NOT NULL"""
    values = {"status": status, "next_at": next_at, "answer": answer, "error": error}
    fence = {"id": delivery.id, "attempts": delivery.attempts, "now": now}
    return status if db.write(query, {**values, **fence}) else None


def judge(
    since: float, answer: int | None, spread: float, now: float
) -> tuple[Status, float | None]:
    """Return what an attempt that ended at `now` leads to, and when the next one is due.

    The wait is half of what has passed since the first attempt, so it grows exponentially.
    """
    if answer is not None and 200 <= answer < 300:
        return "delivered", None
    if answer == 410 or now - since >= TRIED_FOR_S:
        return "failed", None
    wait_s = min(max((now - since) / 2, FIRST_RETRY_S), LONGEST_RETRY_S) * (1 + spread / 5)
    return "pending", min(now + wait_s, max(since + TRIED_FOR_S, now))


# -- the log of a job ----------------------------------------------------------------------


def deliveries_of(db: Connection, job_id: str) -> list[Delivery]:
    """Return the newest SHOWN deliveries of a job, newest first."""
    query = f"""
        SELECT {_COLUMNS} FROM webhook_delivery WHERE job_id = :id
        ORDER BY created_at DESC, id LIMIT {SHOWN}"""  # noqa: S608
    return db.all(Delivery, query, {"id": job_id})


def replay(db: Connection, job_id: str, delivery_id: str, now: float) -> Delivery | None:
    """Let a delivery be made again, with a new day of attempts; None when there is none."""
    query = f"""
        UPDATE webhook_delivery SET status = 'pending', next_at = :now, since = :now
        WHERE id = :id AND job_id = :job_id
        RETURNING {_COLUMNS}"""  # noqa: S608
    return db.one(Delivery, query, {"id": delivery_id, "job_id": job_id, "now": now})


def forget(db: Connection) -> int:
    """Delete what has ended of jobs that have gone; return how many."""
    return db.write("DELETE FROM webhook_delivery WHERE job_id IS NULL AND next_at IS NULL")
