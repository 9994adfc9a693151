"""What the tables say of the whole server at one moment, for /metrics."""

from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs import quota, workers
from jobserver.jobs.workers import Workforce


class Gauges(NamedTuple):
    """waiting: files that wait or are rendered. head_age_s: how long the next one has waited for

    its turn, 0 where none waits. used_bytes: by uploads, shots and outputs of all jobs. deliveries:
    how many webhooks are kept, by status. resumable: how many uploads by tus, by state.
    """

    waiting: int
    head_age_s: float
    workforce: Workforce
    used_bytes: int
    deliveries: dict[str, int]
    resumable: dict[str, int]


_DELIVERIES = "SELECT status, COUNT(*) FROM webhook_delivery GROUP BY status"
_RESUMABLE = """
    SELECT CASE WHEN job_id IS NOT NULL THEN 'used' WHEN finished = 1 THEN 'finished'
                ELSE 'begun' END AS state, COUNT(*)
    FROM upload GROUP BY 1"""
# By an index: jobs by their turns, of each the last of its files that are not ended (queued
# comes behind processing). What is passed over are jobs whose files are all being rendered.
_HEAD = """
    SELECT job.turn FROM job_standing AS job
    WHERE job.files > 0 AND EXISTS (
        SELECT 1 FROM job_file AS file
        WHERE file.job_id = job.job_id AND file.status >= 'processing' AND file.status = 'queued')
    ORDER BY job.turn, job.created_at, job.job_id LIMIT 1"""


def gauges(db: Connection, now: float) -> Gauges:
    """Read them."""
    turn = db.value(_HEAD)
    return Gauges(
        waiting=int(db.value("SELECT files FROM queue_length") or 0),
        head_age_s=0.0 if turn is None else max(0.0, now - turn),
        workforce=workers.workforce(db, now),
        used_bytes=quota.used_bytes(db),
        deliveries=dict(map(tuple, db.execute(_DELIVERIES).fetchall())),
        resumable=dict(map(tuple, db.execute(_RESUMABLE).fetchall())),
    )
