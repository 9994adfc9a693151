"""Where each job stands: its turn, its place, what is left of it, its revision.

All of it follows from the rows of jobs and files, and is kept in tables of its own, so that
neither a claim nor a status call counts the queue. Who changes a job says so here, in the same
transaction: `add`, `serve`, `update`, `touch`. `mend` finds what another program has changed
meanwhile, as a server of the version before.

What stands before a place is read from sums over blocks of places, of 1, 8, 64 ... places: at
most seven blocks of each size. Work counts there as it was when a claim of the job last ended:
what is being rendered makes it no less.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jobserver.db import Connection, exclusive
from jobserver.errors import KeyQueueFull
from jobserver.jobs.model import UNFINISHED

SCALE = 1_000_000  # work is whole millionths of a variation: sums of fractions would drift
_BITS = 3
_SHIFTS = tuple(range(0, 24, _BITS))  # the blocks of the largest size are all read
_SET_CLOCK_S = 1.0  # the clocks of two machines may differ by less

_OPEN = f"FROM job_file WHERE job_id = job.id AND status IN {UNFINISHED}"
_FILES = f"SELECT COUNT(*) {_OPEN}"
WORK = f"""
    SELECT CAST(COALESCE(SUM(CAST(ROUND(
        (1 - progress) * COALESCE(planned, job.variations_per_video) * {SCALE})
        AS BIGINT)), 0) AS BIGINT) {_OPEN}"""
_SERVED = "SELECT MAX(served_at) FROM job_file WHERE job_id = job.id"


class _Counted(NamedTuple):
    """What the sums hold of a job."""

    place: int
    files: int
    work: int


class _Found(NamedTuple):
    """What its rows say."""

    files: int
    work: int
    turn: float


def add(db: Connection, job_id: str, key_id: str | None = None) -> None:
    """Give a new job the last place; its files must be there. key_id: of the key that queued it."""
    db.write(
        """INSERT INTO job_standing (job_id, place, created_at, turn, files, work, key_id)
            SELECT job.id, COALESCE((SELECT MAX(place) FROM job_standing), 0) + 1, job.created_at,
                   job.created_at, 0, 0, CAST(:key_id AS TEXT)
            FROM job WHERE job.id = :id""",
        {"id": job_id, "key_id": key_id},
    )
    update(db, job_id)


def key_of(db: Connection, job_id: str) -> str | None:
    """Return the key that queued a job; None for a session, and when there is no such job."""
    key_id = db.value("SELECT key_id FROM job_standing WHERE job_id = :id", {"id": job_id})
    return None if key_id is None else str(key_id)


def require_room_of_key(db: Connection, key_id: str | None, most: int, incoming: int) -> None:
    """Raise KeyQueueFull when so many files more of one key would be more than `most`.

    key_id: None for who has signed in by password: bounded by queue.require_room() alone.
    """
    if key_id is None:
        return
    query = """
        SELECT CAST(COALESCE(SUM(files), 0) AS BIGINT) FROM job_standing
        WHERE key_id = :key_id AND files > 0"""
    if db.value(query, {"key_id": key_id}) + incoming > most:
        raise KeyQueueFull


def serve(db: Connection, job_id: str, now: float) -> None:
    """Put a job that was claimed behind those that wait longer.

    Nothing that is shown of it has changed by that. Two claims of one job are one after the
    other from here on, so that each sees what the other has recorded.
    """
    query = "UPDATE job_standing SET turn = :now WHERE job_id = :id"
    db.write(query, {"id": job_id, "now": now})


def update(db: Connection, job_id: str) -> None:
    """Keep what the rows of a job have become; without any change its revision grows alone."""
    before = touch(db, job_id)
    if before is None:  # of another program, until mend() finds it
        return
    found = db.one(
        _Found,
        f"""SELECT ({_FILES}) AS files, ({WORK}) AS work,
                   COALESCE(({_SERVED}), job.created_at) AS turn
            FROM job WHERE job.id = :id""",  # noqa: S608
        {"id": job_id},
    )
    if found is None:
        return
    db.write(
        """UPDATE job_standing SET files = :files, work = :work,
               turn = CASE WHEN turn = 0 AND :turn = created_at THEN turn ELSE :turn END
           WHERE job_id = :id""",
        {"id": job_id, **found._asdict()},
    )
    _add_to_sums(db, before, found)


def touch(db: Connection, job_id: str) -> _Counted | None:
    """Raise the revision of a job: something that is shown of it has changed.

    Returns what was counted of it, or None when there is no such job. Nobody else changes that
    before this transaction ends.
    """
    query = """
        UPDATE job_standing SET revision = revision + 1 WHERE job_id = :id
        RETURNING place, files, work"""
    return db.one(_Counted, query, {"id": job_id})


def _add_to_sums(db: Connection, before: _Counted, found: _Found) -> None:
    jobs, work = (found.files > 0) - (before.files > 0), found.work - before.work
    if not jobs and not work:
        return
    rows: list[Mapping[str, Any]] = [
        {"shift": shift, "block": before.place >> shift, "jobs": jobs, "work": work}
        for shift in _SHIFTS
    ]
    db.write_many(
        """INSERT INTO queue_sum (shift, block, jobs, work) VALUES (:shift, :block, :jobs, :work)
           ON CONFLICT (shift, block) DO UPDATE
           SET jobs = queue_sum.jobs + excluded.jobs, work = queue_sum.work + excluded.work""",
        rows,
    )
    if jobs < 0:
        query = "DELETE FROM queue_sum WHERE shift = :shift AND block = :block AND jobs = 0"
        keys = [{"shift": row["shift"], "block": row["block"]} for row in rows]
        db.write_many(query, keys)


def blocks_before(place: str) -> str:
    """Return, as SQL, which rows of queue_sum together are all that stands before a place.

    place: a column.
    """
    sizes = [
        f"(queue_sum.shift = {shift} AND queue_sum.block < {place} >> {shift}"
        f" AND queue_sum.block >= ({place} >> {shift + _BITS}) << {_BITS})"
        for shift in _SHIFTS[:-1]
    ]
    largest = f"(queue_sum.shift = {_SHIFTS[-1]} AND queue_sum.block < {place} >> {_SHIFTS[-1]})"
    return " OR ".join((*sizes, largest))


# -- the clock ----------------------------------------------------------------------------


_LATE = "SELECT job_id FROM job_standing WHERE files > 0 AND turn > :latest"
_DUE = "SELECT job_id FROM job_standing WHERE files > 0 AND turn = 0 AND created_at <= :now"


def forget_future(db: Connection, now: float) -> None:
    """Let no job wait for a turn in the future: the clock was set back since.

    It was served when it was before that. One that was made in the future is first, until its
    time has come.
    """
    values = {"now": now, "latest": now + _SET_CLOCK_S}
    if not db.value(f"SELECT EXISTS ({_LATE}) OR EXISTS ({_DUE})", values):
        return
    for query in (
        f"UPDATE job_file SET served_at = NULL WHERE served_at > :now AND job_id IN ({_LATE})",  # noqa: S608
        f"""UPDATE job_standing SET turn = COALESCE(
                (SELECT MAX(served_at) FROM job_file WHERE job_id = job_standing.job_id),
                CASE WHEN created_at <= :now THEN created_at ELSE 0 END)
            WHERE job_id IN ({_LATE})""",  # noqa: S608
        f"UPDATE job_standing SET turn = created_at WHERE job_id IN ({_DUE})",  # noqa: S608
    ):
        db.write(query, values)


# -- other programs -------------------------------------------------------------------------

_WRONG = f"""
    SELECT job.id FROM job LEFT JOIN job_standing AS kept ON kept.job_id = job.id
    LEFT JOIN (SELECT job_id, COUNT(*) AS files FROM job_file WHERE status IN {UNFINISHED}
               GROUP BY job_id) AS found ON found.job_id = job.id
    WHERE kept.job_id IS NULL OR kept.files <> COALESCE(found.files, 0)"""  # noqa: S608


def mend(db: Connection) -> int:
    """Bring up to date the jobs that another program has added, ended or queued again.

    Returns how many. It reads every job, and locks only when something is to be done: for one job
    at a time, so that uploads are not kept waiting, and that no two of its rows are locked in
    another sequence than by a claim.
    """
    wrong = db.column(_WRONG)
    for job_id in wrong:
        with exclusive(db, "queue"):
            if touch(db, job_id) is None:
                add(db, job_id)
            else:
                update(db, job_id)
    return len(wrong)
