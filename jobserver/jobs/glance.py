"""What a job's JSON depends on beside its rows, by one cheap statement.

As long as nothing of it changes, neither does the JSON: see web/polling.py.
"""

from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs import workers
from jobserver.jobs.model import QueueEstimate
from jobserver.jobs.standing import SCALE, WORK, blocks_before
from jobserver.jobs.workers import NOBODY, WORKFORCE, Workforce


class Glance(NamedTuple):
    """A job at one moment.

    revision: grows with each change of the job, its files and its outputs. last_event: the same
    for servers of the version before, but without progress. Of a job that has not ended:
    waits: nothing of it is begun; rendered: some worker renders a file of it;
    variations_left: of its own, 0 once it has ended; estimate, workforce: see there.
    auth: who may still ask, see auth/state.py: read here, since each call needs it.
    """

    revision: int
    last_event: int
    waits: bool
    rendered: bool
    variations_left: float
    estimate: QueueEstimate | None
    workforce: Workforce
    auth: str | None = None


# Both sums in one pass, as a text: a grouped join would sort its rows.
_AHEAD = f"""
    SELECT CAST(COALESCE(SUM(jobs), 0) AS BIGINT) || ' ' || CAST(COALESCE(SUM(work), 0) AS BIGINT)
    FROM queue_sum WHERE {blocks_before("job_standing.place")}"""  # noqa: S608
_GLANCE = f"""
    SELECT job_standing.revision,
           (SELECT COALESCE(MAX(id), 0) FROM event WHERE event.job_id = job.id),
           job_standing.files,
           CASE WHEN job_standing.files > 0 AND EXISTS (
               SELECT 1 FROM job_file WHERE job_file.job_id = job.id AND status = 'processing')
               THEN ({WORK}) ELSE job_standing.work END,
           CASE WHEN job_standing.files > 0 THEN NOT EXISTS (
               SELECT 1 FROM job_file WHERE job_file.job_id = job.id AND status <> 'queued') END,
           CASE WHEN job_standing.files > 0 THEN EXISTS (
               SELECT 1 FROM job_file WHERE job_file.job_id = job.id AND status = 'processing'
               AND lease_until > :now) END,
           CASE WHEN job_standing.files > 0 THEN ({_AHEAD}) END,
           CASE WHEN job_standing.files > 0 THEN (SELECT AVG(seconds) FROM (
               SELECT seconds FROM output ORDER BY created_at DESC LIMIT 20) AS latest) END,
           (SELECT value FROM meta WHERE name = 'auth'),
           workforce.living, workforce.threads, workforce.last_seen, workforce.reported
    FROM job JOIN job_standing ON job_standing.job_id = job.id
    LEFT JOIN ({WORKFORCE}) AS workforce ON job_standing.files > 0
    WHERE job.id = :id AND job.removed_at IS NULL"""  # noqa: S608


def glance(db: Connection, job_id: str, now: float) -> Glance | None:
    """Return what there is of a job, or None when there is none or its files are being deleted."""
    row = db.execute(_GLANCE, {"id": job_id, "now": now, "alive_s": workers.ALIVE_S}).fetchone()
    if row is None:
        return None
    revision, last_event, files, work, waits, rendered, ahead, seconds, auth, *workforce = row
    found = Glance(
        revision,
        last_event,
        waits=bool(waits),
        rendered=bool(rendered),
        variations_left=work / SCALE,
        estimate=None,
        workforce=NOBODY,
        auth=auth,
    )
    if not files:
        return found
    jobs_ahead, work_ahead = map(int, ahead.split())
    estimate = QueueEstimate(jobs_ahead, work_ahead / SCALE, seconds)
    return found._replace(estimate=estimate, workforce=Workforce(*workforce))
