"""Every change of state of a job, a file or an output, in the transaction that makes it.

Kinds: `job.` and `file.` with the new status (queued, processing, completed, failed,
cancelled), `output.ready`, `output.removed`. An event is kept as long as its job. What a webhook
asked for is delivered from a row of its own, written here as well.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from jobserver import metrics
from jobserver.db import Connection
from jobserver.jobs import webhooks


class Event(NamedTuple):
    """file_id, output_id: None where it is about all of the job, or all of the file.

    at: Unix seconds. data: a small JSON object, as `{"error": "..."}` of a failed file.
    """

    id: int
    job_id: str
    file_id: str | None
    output_id: str | None
    kind: str
    at: float
    data: str


class _Change(NamedTuple):
    file_id: str | None
    status: str
    error: str | None


_CHANGED_FILES = """
    SELECT file.id AS file_id, file.status, file.error FROM job_file AS file
    WHERE {condition} AND 'file.' || file.status <> COALESCE(
        (SELECT kind FROM event WHERE file_id = file.id AND output_id IS NULL
         ORDER BY id DESC LIMIT 1), '')
    ORDER BY file.position"""
_OF_JOB = _CHANGED_FILES.format(condition="file.job_id = :job_id")
_OF_FILE = _CHANGED_FILES.format(condition="file.id = :file_id")
# What unfinished files say of a job is found without counting the others.
_CHANGED_JOB = """
    SELECT NULL AS file_id, status, NULL AS error FROM (
        SELECT id, CASE
            WHEN NOT EXISTS (SELECT 1 FROM job_file AS file WHERE job_id = job.id
                             AND status IN ('queued', 'processing'))
                THEN (SELECT status FROM job_summary WHERE id = job.id)
            WHEN EXISTS (SELECT 1 FROM job_file AS file WHERE job_id = job.id
                         AND status <> 'queued')
                THEN 'processing' ELSE 'queued' END AS status
        FROM job WHERE id = :job_id) AS now
    WHERE 'job.' || status <> COALESCE(
        (SELECT kind FROM event WHERE job_id = :job_id AND file_id IS NULL
         ORDER BY id DESC LIMIT 1), '')"""
_INSERT = """
    INSERT INTO event (job_id, file_id, output_id, kind, at, data)
    VALUES (:job_id, :file_id, :output_id, :kind, :at, :data)"""


def record_changes(db: Connection, job_id: str, now: float) -> None:
    """Record what the job and its files have become since their last events, if anything."""
    _record(db, job_id, db.all(_Change, _OF_JOB, {"job_id": job_id}), now)


def record_change(db: Connection, job_id: str, file_id: str, now: float) -> bool:
    """As record_changes(), where at most this one of its files has changed; return whether."""
    return _record(db, job_id, db.all(_Change, _OF_FILE, {"file_id": file_id}), now)


def _record(db: Connection, job_id: str, files: Iterable[_Change], now: float) -> bool:
    changes = [("file", change) for change in files]
    changes += [("job", change) for change in db.all(_Change, _CHANGED_JOB, {"job_id": job_id})]
    rows = [
        {
            "job_id": job_id,
            "file_id": change.file_id,
            "output_id": None,
            "kind": f"{about}.{change.status}",
            "at": now,
            "data": json.dumps({"error": change.error} if change.error else {}),
        }
        for about, change in changes
    ]
    if rows:
        _insert(db, rows)
    for about, change in changes:
        if about == "job":
            webhooks.record_job(db, job_id, f"job.{change.status}", now)
    return bool(rows)


def record_outputs(
    db: Connection, job_id: str, file_id: str, *, kind: str, ids: Collection[str], now: float
) -> None:
    """Record that outputs of a file appeared (`output.ready`) or went (`output.removed`)."""
    rows = [
        {
            "job_id": job_id,
            "file_id": file_id,
            "output_id": output_id,
            "kind": kind,
            "at": now,
            "data": "{}",
        }
        for output_id in ids
    ]
    _insert(db, rows)
    webhooks.record_outputs(db, job_id, kind=kind, ids=ids, now=now)


def _insert(db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    db.write_many(_INSERT, rows)
    db.after_commit(partial(_count, [row["kind"] for row in rows]))


def _count(kinds: Iterable[str]) -> None:
    for kind in kinds:
        metrics.state_changed(kind)


def events_of(db: Connection, job_id: str) -> list[Event]:
    """Return the events of a job, first to last."""
    query = f"SELECT {', '.join(Event._fields)} FROM event WHERE job_id = :id ORDER BY id"  # noqa: S608
    return db.all(Event, query, {"id": job_id})
