"""Which workers live, and what they wait for: each keeps a row and renews it.

A worker that is killed or frozen renews nothing, so its row gets old: it counts as dead after
ALIVE_S. One that stops cleanly removes its row.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from jobserver.db import Connection, latest_version
from jobserver.errors import OldWorker

BEAT_S = 5.0  # how often a worker renews its row
ALIVE_S = 30.0  # since when it must have done so; as long as a lease
KEPT_S = 24 * 3600.0  # how long the row of a dead worker says when it was seen last

WaitsFor = Literal[
    "no_worker",  # none lives
    "disk_space",  # outputs, or rows, do not fit
    "storage_unavailable",  # a folder is not mounted, or another database's
]


class Worker(NamedTuple):
    """What a worker says about itself. name: `host:pid`. threads: files it renders at once.

    waits_for: why it claims nothing, or None.
    """

    id: str
    name: str
    threads: int
    started_at: float
    waits_for: WaitsFor | None


class Workforce(NamedTuple):
    """The workers that live: how many, and how many files they render at once (threads).

    last_seen: when any was, also of those that are dead; Unix seconds, None for never.
    reported: what all of them wait for; None while one does not wait.
    """

    living: int
    threads: int
    last_seen: float | None
    reported: WaitsFor | None

    @property
    def waits_for(self) -> WaitsFor | None:
        """Why no worker claims anything, or None."""
        return self.reported if self.living else "no_worker"


NOBODY = Workforce(living=0, threads=0, last_seen=None, reported=None)
_ALIVE = "seen_at > :now - :alive_s AND seen_at <= :now + :alive_s"
WORKFORCE = f"""
    SELECT COUNT(*) FILTER (WHERE alive) AS living,
           CAST(COALESCE(SUM(threads) FILTER (WHERE alive), 0) AS BIGINT) AS threads,
           MAX(seen_at) AS last_seen,
           CASE WHEN COUNT(*) FILTER (WHERE alive AND waits_for IS NULL) = 0
               THEN MIN(waits_for) FILTER (WHERE alive) END AS reported
    FROM (SELECT threads, seen_at, waits_for, {_ALIVE} AS alive FROM worker) AS each_worker"""  # noqa: S608


def workforce(db: Connection, now: float) -> Workforce:
    """Return which workers live at `now`.

    One seen later than now was seen before the clock was set back: it has no new heartbeat yet.
    """
    found = db.one(Workforce, WORKFORCE, {"now": now, "alive_s": ALIVE_S})
    assert found is not None  # noqa: S101  an aggregate has a row
    return found


def require_version(db: Connection, version: int, now: float) -> None:
    """Raise OldWorker while a worker lives whose code knows no database of this version.

    It would claim files that it cannot render, or end a job and deliver no webhook.
    """
    query = f"""
        SELECT EXISTS (SELECT 1 FROM worker
                       WHERE {_ALIVE} AND COALESCE(database_version, 0) < :version)"""  # noqa: S608
    if db.value(query, {"now": now, "alive_s": ALIVE_S, "version": version}):
        raise OldWorker


def renew(db: Connection, worker: Worker, now: float) -> None:
    """Say that this worker lives; it needs no row from before."""
    db.write(
        """INSERT INTO worker (id, name, threads, started_at, seen_at, waits_for,
                               database_version)
           VALUES (:id, :name, :threads, :started_at, :now, :waits_for, :version)
           ON CONFLICT (id) DO UPDATE SET seen_at = :now, waits_for = :waits_for""",
        {**worker._asdict(), "now": now, "version": latest_version()},
    )


def leave(db: Connection, worker_id: str) -> None:
    """Remove the row of a worker that stops."""
    db.write("DELETE FROM worker WHERE id = :id", {"id": worker_id})


def forget_dead(db: Connection, now: float) -> int:
    """Delete the rows of workers that died long ago, or before the clock was set back."""
    query = "DELETE FROM worker WHERE seen_at < :now - :kept_s OR seen_at > :now + :alive_s"
    return db.write(query, {"now": now, "kept_s": KEPT_S, "alive_s": ALIVE_S})


def files_wait(db: Connection) -> bool:
    """Return whether any file is neither rendered nor given up."""
    query = "SELECT EXISTS (SELECT 1 FROM job_file WHERE status IN ('queued', 'processing'))"
    return bool(db.value(query))


def rendered_now(db: Connection, job_ids: Sequence[str], now: float) -> set[str]:
    """Return which of these jobs have a file that some worker renders."""
    marks = ", ".join(f":id{n}" for n in range(len(job_ids)))
    query = f"""
        SELECT job_id FROM job_file
        WHERE job_id IN ({marks}) AND status = 'processing' AND lease_until > :now"""  # noqa: S608
    values = {f"id{n}": job_id for n, job_id in enumerate(job_ids)}
    return set(db.column(query, {**values, "now": now}))
