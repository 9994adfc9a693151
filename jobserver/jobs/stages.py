"""Which file of a job with a brief may be worked on, and what its end means for the others.

Such a file goes through stages, each by claims of its own: PROBE, what it is; SHOTS, what is
encoded of it; of a video also JOINS, its outputs. An asset has ended with its last shot. A file
that waits for others has `ready = 0`, which the claim passes over:

SHOTS waits until nothing unfinished of the job is to be probed: the frame rate and the lengths
of all depend on what each is.
JOINS waits until no asset is unfinished: each has its shots, or has failed.

Who ends a file, or its stage, calls settle() in the same transaction. Those transactions are
`exclusive`, so one of them is the last, and sees that it is. When no video of a job is unfinished
nobody needs its other files any more: they end too, so a job ends with its last video.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs import events, shots, standing
from jobserver.jobs.model import UNFINISHED, Claim, FailedOutput

PROBE, SHOTS, JOINS = 0, 1, 2

_UNFINISHED = f"status IN {UNFINISHED}"
_HAS_VIDEO = f"""
    SELECT 1 FROM job_file AS video
    WHERE video.job_id = :id AND video.role = 'video' AND video.{_UNFINISHED}"""  # noqa: S608
_LOCK = f"UPDATE job_file SET ready = ready WHERE job_id = :id AND {_UNFINISHED}"  # noqa: S608
_END_ASSETS = f"""
    UPDATE job_file
    SET status = 'cancelled', claim_token = claim_token + 1, lease_until = 0, finished_at = :now
    WHERE job_id = :id AND {_UNFINISHED} AND NOT EXISTS ({_HAS_VIDEO})"""  # noqa: S608
_RAISE = f"""
    UPDATE job_file SET ready = 1
    WHERE job_id = :id AND ready = 0 AND {_UNFINISHED} AND NOT EXISTS (
        SELECT 1 FROM job_file AS other
        WHERE other.job_id = :id AND other.{_UNFINISHED}
          AND (other.stage = {PROBE} OR job_file.stage = {JOINS} AND other.role <> 'video'))"""  # noqa: S608


class Settled(NamedTuple):
    """What has followed.

    raised: files that may be claimed from now on. unneeded: places of shots whose rows have gone;
    shots.delete_files() deletes them after the commit.
    """

    raised: int
    unneeded: list[str]


def lock_files(db: Connection, job_id: str) -> None:
    """Take the rows of a job's files, before anything of it is written that is not one of them.

    Who ends a file may end others: on PostgreSQL the rows of job_file come before job_standing,
    see ARCHITECTURE.md.
    """
    db.write(_LOCK, {"id": job_id})


def settle(db: Connection, job_id: str, now: float) -> Settled:
    """Let the others of a job with a brief follow what has become of one of its files.

    In the transaction that ended it or its stage, behind that, with lock_files() before.
    """
    if db.write(_END_ASSETS, {"id": job_id, "now": now}):
        standing.update(db, job_id)
        events.record_changes(db, job_id, now)
    return Settled(db.write(_RAISE, {"id": job_id}), shots.drop_unneeded(db, job_id))


# -- what is known of a job -----------------------------------------------------------------


def facts_of(db: Connection, job_id: str) -> dict[str, str]:
    """Return what probes have found, as JSON, by file; those of this job that are known."""
    query = "SELECT id, facts FROM job_file WHERE job_id = :id AND facts IS NOT NULL"
    return dict(db.execute(query, {"id": job_id}).fetchall())


def set_weights(db: Connection, job_id: str, weights: Mapping[str, float]) -> None:
    """Keep how much each file weighs in the progress of its job, by id.

    What is known stays: progress that was shown never falls. `exclusive`.
    """
    query = "UPDATE job_file SET weight = :weight WHERE id = :id AND weight = 0"
    db.write_many(query, [{"id": each, "weight": weight} for each, weight in weights.items()])
    standing.touch(db, job_id)


def made_outputs(db: Connection, job_id: str) -> set[tuple[str, int]]:
    """Return file and number of the outputs that are published, or listed as failed."""
    query = """
        SELECT file_id, number FROM output JOIN job_file ON job_file.id = file_id
        WHERE job_id = :id
        UNION ALL SELECT file_id, number FROM failed_output JOIN job_file ON job_file.id = file_id
        WHERE job_id = :id"""
    return {(row[0], row[1]) for row in db.execute(query, {"id": job_id}).fetchall()}


def list_failed(db: Connection, outputs: Iterable[FailedOutput]) -> None:
    """List outputs that cannot be made, in the transaction that says that their file was held."""
    db.write_many(
        """INSERT INTO failed_output (file_id, number, name, axes, reason)
           VALUES (:file_id, :number, :name, :axes, :reason)""",
        [each._asdict() for each in outputs],
    )


class Listed(NamedTuple):
    """How many outputs a video has, and how many are listed as failed."""

    published: int
    failed: int


def listed_outputs(db: Connection, claim: Claim) -> Listed:
    """Return how many outputs of a claimed video are there, and how many cannot be made."""
    query = """
        SELECT (SELECT COUNT(*) FROM output WHERE file_id = :id) AS published,
               (SELECT COUNT(*) FROM failed_output WHERE file_id = :id) AS failed"""
    found = db.one(Listed, query, {"id": claim.id})
    assert found is not None  # noqa: S101  counts have a row
    return found


# -- again ----------------------------------------------------------------------------------

# What queue.retry() makes of a file that LACKING finds: without a brief `facts` is never set.
AGAIN = f"""status = 'queued', claim_token = claim_token + 1, lease_until = 0, not_before = 0,
    attempts = 0, error = NULL, finished_at = NULL,
    stage = CASE WHEN facts IS NULL THEN {PROBE} ELSE {SHOTS} END,
    ready = CASE WHEN facts IS NULL THEN 1 ELSE 0 END"""
LACKING = """status IN ('failed', 'cancelled')
    OR status = 'completed' AND EXISTS (
        SELECT 1 FROM failed_output WHERE file_id = job_file.id)"""


def reopen(db: Connection, job_id: str) -> None:
    """Let what is missing of a job's videos be made, after some were queued again.

    In the transaction that queued them, before anything is written that is no row of job_file.
    """
    _remake_shots(db, job_id)
    db.write(_RAISE, {"id": job_id})
    db.write(
        """DELETE FROM failed_output
           WHERE file_id IN (SELECT id FROM job_file WHERE job_id = :id)""",
        {"id": job_id},
    )


def remake_shots(db: Connection, job_id: str, now: float) -> None:
    """Let the shots be made again that outputs lack; those that are there stay.

    Videos that join wait meanwhile; settle(), which comes next, raises them.
    """
    _remake_shots(db, job_id)
    standing.update(db, job_id)
    events.record_changes(db, job_id, now)


def _remake_shots(db: Connection, job_id: str) -> None:
    values = {"id": job_id}
    db.write(
        f"""UPDATE job_file SET stage = {SHOTS}, ready = 0
            WHERE job_id = :id AND stage = {JOINS} AND {_UNFINISHED}""",  # noqa: S608
        values,
    )
    db.write(
        f"""UPDATE job_file SET {AGAIN}, progress = 0
            WHERE job_id = :id AND role IN ('hook', 'ending', 'music') AND status = 'completed'
              AND EXISTS ({_HAS_VIDEO})""",  # noqa: S608
        values,
    )
