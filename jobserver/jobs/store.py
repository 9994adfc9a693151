"""Every SQL statement about jobs: one function, one statement; db comes first, now last.

A file's life: queued -> claimed (processing) -> finished as completed, failed or cancelled.
Whoever claims a file gets its row with a fresh `token`; every later write of theirs names
it and changes nothing once somebody else has the file.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jobserver.db import transaction
from jobserver.errors import QuotaExceeded

MAX_ATTEMPTS = 3


class Upload(NamedTuple):
    """A whole, durable file in UPLOAD_DIR that is about to belong to a job."""

    id: str
    name: str  # as the client sent it
    stored_name: str  # in UPLOAD_DIR
    size: int  # bytes


class Order(NamedTuple):
    """What is asked for of every file of a job."""

    variations: int  # of each file, 1 to 20
    recipe: str
    seed: int


class Published(NamedTuple):
    """A whole variation under its final name in the job's folder."""

    id: str
    number: int  # from 1
    name: str
    size: int  # bytes
    sha256: str
    crc32: int
    parameters: Mapping[str, Any]
    seconds: float  # that rendering it took
    thumbnail: str | None  # file beside it
    made_with: str  # server, ffmpeg, encoder


def insert_job(
    db: sqlite3.Connection,
    job_id: str,
    uploads: Sequence[Upload],
    order: Order,
    quota: int,
    now: float,
) -> None:
    """Queue one job with its files; durable when this returns, nothing when it raises.

    quota: bytes that all jobs may use with this one, or 0; judged in the same transaction, so
    that uploads at the same time cannot pass it together. now: Unix seconds, UTC.
    Raises QuotaExceeded, or sqlite3.OperationalError when the lock outlasts connect()'s timeout.
    """
    job = {"id": job_id, "now": now, **order._asdict()}
    rows = [
        {"job_id": job_id, "position": position, **upload._asdict()}
        for position, upload in enumerate(uploads)
    ]
    with transaction(db):
        db.execute(
            """
            INSERT INTO job (id, variations_per_video, recipe, seed, created_at)
            VALUES (:id, :variations, :recipe, :seed, :now)""",
            job,
        )
        db.executemany(
            """
            INSERT INTO job_file (id, job_id, position, name, stored_name, size)
            VALUES (:id, :job_id, :position, :name, :stored_name, :size)""",
            rows,
        )
        if quota and used_bytes(db) > quota:
            raise QuotaExceeded


# -- telling ------------------------------------------------------------------


def find_job(db: sqlite3.Connection, job_id: str) -> sqlite3.Row | None:
    """Return the job with its status and total_videos, or None."""
    query = "SELECT * FROM job_status WHERE id = :id AND removed_at IS NULL"
    row: sqlite3.Row | None = db.execute(query, {"id": job_id}).fetchone()
    return row


def files_of(db: sqlite3.Connection, job_id: str) -> list[sqlite3.Row]:
    """Return the job's files in the order of the upload; none when there is no such job.

    Each row also tells of the job: job_status, total_videos, variations_per_video, recipe,
    seed, created_at and removed_at. While the job has not ended, the first row tells what
    stands before it: how many older jobs wait or run (jobs_ahead) and how many variations they
    still lack (variations_ahead); and the pace, the seconds that the latest 20 outputs took on
    average (seconds_per_variation, None before the first).

    One statement, for at each step of one a thread lets go of the interpreter.
    """
    return db.execute(_FILES, {"id": job_id}).fetchall()


_AHEAD = """
    FROM job_file AS other JOIN job AS older ON older.id = other.job_id
    WHERE other.status IN ('queued', 'processing')
      AND (older.created_at, older.id) < (job_status.created_at, job_status.id)"""
_WAITS = "position = 0 AND job_status.status IN ('queued', 'processing')"
_FILES = f"""
    SELECT job_file.*, job_status.status AS job_status, job_status.total_videos,
           job_status.variations_per_video, job_status.recipe, job_status.seed,
           job_status.created_at, job_status.removed_at,
           CASE WHEN {_WAITS} THEN (SELECT COUNT(DISTINCT older.id) {_AHEAD}) END AS jobs_ahead,
           CASE WHEN {_WAITS} THEN
               (SELECT COALESCE(SUM((1 - other.progress) * older.variations_per_video), 0) {_AHEAD})
               END AS variations_ahead,
           CASE WHEN {_WAITS} THEN
               (SELECT AVG(seconds) FROM
                   (SELECT seconds FROM output ORDER BY created_at DESC LIMIT 20) AS latest)
               END AS seconds_per_variation
    FROM job_status JOIN job_file ON job_file.job_id = job_status.id
    WHERE job_status.id = :id ORDER BY position"""  # noqa: S608  constants


def outputs_of(db: sqlite3.Connection, job_id: str) -> list[sqlite3.Row]:
    """Return the job's outputs, file by file, by number."""
    query = """
        SELECT output.* FROM output JOIN job_file ON job_file.id = output.file_id
        WHERE job_file.job_id = :id ORDER BY job_file.position, output.number"""
    return db.execute(query, {"id": job_id}).fetchall()


def files_of_jobs(db: sqlite3.Connection, job_ids: Sequence[str]) -> dict[str, list[sqlite3.Row]]:
    """Return the files of several jobs by job, in the order of their upload.

    Each row also tells how many outputs there are of it (completed_variations).
    """
    marks = ", ".join(f":id{n}" for n in range(len(job_ids)))
    query = f"""
        SELECT job_file.*, (SELECT COUNT(*) FROM output WHERE file_id = job_file.id)
               AS completed_variations
        FROM job_file WHERE job_id IN ({marks}) ORDER BY position"""  # noqa: S608
    by_job: dict[str, list[sqlite3.Row]] = {job_id: [] for job_id in job_ids}
    for row in db.execute(query, {f"id{n}": job_id for n, job_id in enumerate(job_ids)}):
        by_job[row["job_id"]].append(row)
    return by_job


def find_output(db: sqlite3.Connection, job_id: str, output_id: str) -> sqlite3.Row | None:
    """Return an output with `source_name`, the name of the video it was made from, or None."""
    query = """
        SELECT output.*, job_file.name AS source_name
        FROM output JOIN job_file ON job_file.id = output.file_id
        JOIN job ON job.id = job_file.job_id
        WHERE output.id = :output_id AND job.id = :job_id AND job.removed_at IS NULL"""
    row: sqlite3.Row | None = db.execute(
        query, {"output_id": output_id, "job_id": job_id}
    ).fetchone()
    return row


def has_expired(db: sqlite3.Connection, job_id: str) -> bool:
    """Return whether a job of this id was there once and has been removed."""
    query = """
        SELECT 1 FROM expired_job WHERE id = :id
        UNION ALL SELECT 1 FROM job WHERE id = :id AND removed_at IS NOT NULL"""
    return db.execute(query, {"id": job_id}).fetchone() is not None


# -- removing -----------------------------------------------------------------


def used_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of the uploads and outputs of all jobs that are not marked."""
    query = """
        SELECT COALESCE((SELECT SUM(size) FROM job_file), 0)
             + COALESCE((SELECT SUM(size) FROM output), 0)"""
    total: int = db.execute(query).fetchone()[0]
    return total - marked_bytes(db)


def marked_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of the uploads and outputs of marked jobs, which are about to go."""
    query = """
        SELECT COALESCE(SUM(file.size + COALESCE(
                   (SELECT SUM(size) FROM output WHERE file_id = file.id), 0)), 0)
        FROM job JOIN job_file AS file ON file.job_id = job.id
        WHERE job.removed_at IS NOT NULL"""
    total: int = db.execute(query).fetchone()[0]
    return total


def has_jobs(db: sqlite3.Connection) -> bool:
    """Return whether there is any job, marked ones too."""
    return db.execute("SELECT 1 FROM job LIMIT 1").fetchone() is not None


def count_jobs(db: sqlite3.Connection) -> int:
    """Return how many jobs there are."""
    count: int = db.execute("SELECT COUNT(*) FROM job WHERE removed_at IS NULL").fetchone()[0]
    return count


_ENDED_AT = """
    SELECT job.id, COALESCE(MAX(file.finished_at), job.created_at) AS ended_at, job.created_at,
           SUM(file.size) + COALESCE((SELECT SUM(output.size) FROM output JOIN job_file AS source
               ON source.id = output.file_id WHERE source.job_id = job.id), 0) AS size
    FROM job JOIN job_file AS file ON file.job_id = job.id
    WHERE job.removed_at IS NULL
    GROUP BY job.id, job.created_at
    HAVING COUNT(*) FILTER (WHERE file.status IN ('queued', 'processing')) = 0"""


def expired_jobs(db: sqlite3.Connection, before: float) -> list[sqlite3.Row]:
    """Return `id` and `size` (bytes) of ended jobs created and ended before a Unix time."""
    query = f"""
        SELECT * FROM ({_ENDED_AT}) AS ended
        WHERE ended_at <= :before AND created_at <= :before"""  # noqa: S608  constants
    return db.execute(query, {"before": before}).fetchall()


def ended_jobs(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return `id` and `size` (bytes) of all ended jobs, the one that ended first before."""
    return db.execute(f"{_ENDED_AT} ORDER BY ended_at, job.id").fetchall()


def mark_removed(db: sqlite3.Connection, job_id: str, now: float) -> bool:
    """Hide a job whose files are about to go; False when it has not ended or is hidden.

    Judged again here: a retry may have come since it was chosen. The caller's transaction.
    """
    query = """
        UPDATE job SET removed_at = :now
        WHERE id = :id AND removed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM job_file
            WHERE job_id = :id AND status IN ('queued', 'processing'))"""
    return db.execute(query, {"id": job_id, "now": now}).rowcount == 1


def removed_jobs(db: sqlite3.Connection) -> list[str]:
    """Return the ids of jobs that are marked and not gone yet."""
    query = "SELECT id FROM job WHERE removed_at IS NOT NULL"
    return [row["id"] for row in db.execute(query)]


def delete_jobs(db: sqlite3.Connection, job_ids: Iterable[str], now: float) -> None:
    """Delete the rows of marked jobs whose files are gone; remember their ids."""
    values = [{"id": job_id, "now": now} for job_id in job_ids]
    with transaction(db):
        for query in (
            """INSERT INTO expired_job (id, created_at, removed_at)
               SELECT id, created_at, :now FROM job WHERE id = :id ON CONFLICT (id) DO NOTHING""",
            "DELETE FROM output WHERE file_id IN (SELECT id FROM job_file WHERE job_id = :id)",
            "DELETE FROM job_file WHERE job_id = :id",
            "DELETE FROM job WHERE id = :id",
        ):
            db.executemany(query, values)


def forget_expired(db: sqlite3.Connection, before: float) -> None:
    """Forget the ids of jobs that went before a Unix time."""
    with transaction(db):
        db.execute("DELETE FROM expired_job WHERE removed_at < :before", {"before": before})


def delete_outputs(db: sqlite3.Connection, output_ids: Iterable[str]) -> None:
    """Delete the rows of outputs whose files are gone."""
    with transaction(db):
        db.executemany("DELETE FROM output WHERE id = :id", [{"id": each} for each in output_ids])


def job_ids(db: sqlite3.Connection) -> set[str]:
    """Return the ids of all jobs, marked ones too."""
    return {row["id"] for row in db.execute("SELECT id FROM job")}


def output_names(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return `id`, `job_id`, `name` and `thumbnail` of all outputs."""
    query = """
        SELECT output.id, file.job_id, output.name, output.thumbnail
        FROM output JOIN job_file AS file ON file.id = output.file_id"""
    return db.execute(query).fetchall()


def listed_names(db: sqlite3.Connection) -> dict[str, set[str]]:
    """Return the names of files in OUTPUT_DIR that rows list, by job."""
    names: dict[str, set[str]] = {}
    for row in output_names(db):
        names.setdefault(row["job_id"], set()).update((row["name"], row["thumbnail"]))
    query = "SELECT job_id, thumbnail FROM job_file WHERE thumbnail IS NOT NULL"
    for row in db.execute(query):
        names.setdefault(row["job_id"], set()).add(row["thumbnail"])
    return names


def stored_names(db: sqlite3.Connection) -> set[str]:
    """Return the names of all files in UPLOAD_DIR that belong to jobs."""
    return {row["stored_name"] for row in db.execute("SELECT stored_name FROM job_file")}


def newest_jobs(db: sqlite3.Connection, limit: int) -> list[sqlite3.Row]:
    """Return at most `limit` jobs with status and total_videos, newest first."""
    query = """
        SELECT * FROM job_status WHERE removed_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT :limit"""
    return db.execute(query, {"limit": limit}).fetchall()


def place_of(db: sqlite3.Connection, job_id: str) -> sqlite3.Row | None:
    """Return `id` and `created_at` of a job, also of one that has gone, or None."""
    query = """
        SELECT id, created_at FROM job WHERE id = :id
        UNION ALL SELECT id, created_at FROM expired_job WHERE id = :id"""
    row: sqlite3.Row | None = db.execute(query, {"id": job_id}).fetchone()
    return row


def jobs_before(db: sqlite3.Connection, place: sqlite3.Row, limit: int) -> list[sqlite3.Row]:
    """Return at most `limit` jobs that are older than that place, newest first."""
    query = """
        SELECT * FROM job_status
        WHERE removed_at IS NULL AND (created_at, id) < (:created_at, :id)
        ORDER BY created_at DESC, id DESC LIMIT :limit"""
    return db.execute(query, {**dict(place), "limit": limit}).fetchall()


def is_stored(db: sqlite3.Connection, stored_name: str) -> bool:
    """Return whether a file of this name in UPLOAD_DIR belongs to a job."""
    query = "SELECT 1 FROM job_file WHERE stored_name = :name"
    return db.execute(query, {"name": stored_name}).fetchone() is not None


# -- the queue ----------------------------------------------------------------


def claim(db: sqlite3.Connection, worker: str, lease_s: float, now: float) -> sqlite3.Row | None:
    """Give the next waiting file to this worker; return its row, or None when idle.

    worker: name shown to operators. lease_s: seconds until others may take it over.
    now: Unix seconds, UTC. One UPDATE is atomic, so no two workers hold one file; the
    returned `token` must accompany every later write about it.

    Next is the job that was served longest ago, or waits longest for its first time, so
    none starves another; of its files the one already begun. A lease further away than any
    that is kept alive was given before the clock was set back: it has ended too, and no time
    in the future puts a job behind others.
    Source: https://sqlite.org/lang_returning.html (SQLite 3.35 or newer).
    """
    query = f"""
        UPDATE job_file
        SET status = 'processing', worker = :worker, token = token + 1,
            lease_until = :now + :lease_s, served_at = :now, attempts = attempts + 1,
            started_at = COALESCE(started_at, :now)
        WHERE id = ({_NEXT})
        RETURNING *"""  # noqa: S608  one constant in another
    values = {"worker": worker, "lease_s": lease_s, "now": now}
    with transaction(db):
        row: sqlite3.Row | None = db.execute(query, values).fetchone()
    return row


_NEXT = """
    SELECT file.id FROM job_file AS file JOIN job ON job.id = file.job_id
    WHERE file.status IN ('queued', 'processing')
      AND (file.lease_until <= :now OR file.lease_until > :now + 2 * :lease_s)
      AND (file.not_before <= :now OR file.not_before > :now + 3600)
    ORDER BY COALESCE((SELECT MAX(served_at) FROM job_file
                       WHERE job_id = job.id AND served_at <= :now),
                      CASE WHEN job.created_at <= :now THEN job.created_at ELSE 0 END),
             job.created_at, job.id, file.status = 'queued', file.position
    LIMIT 1"""


def has_waiting(db: sqlite3.Connection, lease_s: float, now: float) -> bool:
    """Return whether claim() would find a file; reads only, so idle workers disturb nobody."""
    row = db.execute(f"SELECT EXISTS ({_NEXT})", {"lease_s": lease_s, "now": now})
    return bool(row.fetchone()[0])


def job_of(db: sqlite3.Connection, file: sqlite3.Row) -> sqlite3.Row:
    """Return the job of a file, with its order."""
    row: sqlite3.Row = db.execute(
        "SELECT * FROM job WHERE id = :id", {"id": file["job_id"]}
    ).fetchone()
    return row


def finished_numbers(db: sqlite3.Connection, file: sqlite3.Row) -> set[int]:
    """Return which variations of a file are published."""
    rows = db.execute("SELECT number FROM output WHERE file_id = :id", {"id": file["id"]})
    return {row["number"] for row in rows}


def renew(
    db: sqlite3.Connection, file: sqlite3.Row, progress: float, lease_s: float, now: float
) -> bool:
    """Keep a file and note its progress (0 to 1, never less); False when it is lost."""
    return _update(
        db,
        file,
        """lease_until = :now + :lease_s,
           progress = CASE WHEN progress < :progress THEN :progress ELSE progress END""",
        {"progress": progress, "lease_s": lease_s, "now": now},
    )


def note_media(db: sqlite3.Connection, file: sqlite3.Row, facts: Mapping[str, Any]) -> bool:
    """Note duration (s), width, height (pixels), sha256 and thumbnail of a claimed file.

    False when the file is lost. The caller's transaction.
    """
    assignments = """duration = :duration, width = :width, height = :height, sha256 = :sha256,
                     thumbnail = :thumbnail"""
    return _change(db, file, assignments, facts)


def let_go(
    db: sqlite3.Connection, file: sqlite3.Row, progress: float, last: bool, now: float
) -> bool:
    """End a claim that went well; False when the file is lost. The caller's transaction.

    progress: 0 to 1, what is now published. last: nothing is missing any more, so the file
    is completed; else it waits for its next claim, in its turn. The token grows, so that a
    heartbeat on its way does not take the file back.
    """
    ending = "status = 'completed', finished_at = :now, " if last else ""
    assignments = f"""{ending}token = token + 1, lease_until = 0, attempts = 0,
        progress = :progress, served_at = :now"""
    return _change(db, file, assignments, {"progress": progress, "now": now})


def insert_outputs(
    db: sqlite3.Connection, file: sqlite3.Row, outputs: Iterable[Published], now: float
) -> None:
    """List whole outputs of a file. The caller's transaction, begun by let_go()."""
    query = """
        INSERT INTO output
            (id, file_id, number, name, size, sha256, crc32, parameters, seconds, thumbnail,
             made_with, created_at)
        VALUES (:id, :file_id, :number, :name, :size, :sha256, :crc32, :parameters, :seconds,
                :thumbnail, :made_with, :now)"""
    db.executemany(query, [_output_row(file, output, now) for output in outputs])


def _output_row(file: sqlite3.Row, output: Published, now: float) -> dict[str, Any]:
    parameters = json.dumps(dict(output.parameters))
    return {**output._asdict(), "parameters": parameters, "file_id": file["id"], "now": now}


def fail(db: sqlite3.Connection, file: sqlite3.Row, reason: str, now: float) -> bool:
    """End a claimed file as failed; `reason` is a sentence for people."""
    assignments = "status = 'failed', error = :reason, finished_at = :now, lease_until = 0"
    return _update(db, file, assignments, {"reason": reason, "now": now})


def try_later(
    db: sqlite3.Connection, file: sqlite3.Row, delay_s: float, now: float, counted: bool = True
) -> bool:
    """Let a claimed file go; it may be claimed again after `delay_s`.

    counted: this was one of its MAX_ATTEMPTS. The token grows as in let_go().
    """
    values = {"at": now + delay_s, "uncounted": 0 if counted else 1}
    assignments = """token = token + 1, lease_until = 0, not_before = :at,
        attempts = attempts - :uncounted"""
    return _update(db, file, assignments, values)


def cancel(db: sqlite3.Connection, job_id: str, now: float) -> int:
    """Cancel what waits or runs of a job; return how many files. The caller's transaction."""
    query = """
        UPDATE job_file
        SET status = 'cancelled', token = token + 1, lease_until = 0, finished_at = :now
        WHERE job_id = :id AND status IN ('queued', 'processing')"""
    return db.execute(query, {"id": job_id, "now": now}).rowcount


def retry(db: sqlite3.Connection, job_id: str) -> int:
    """Queue the failed and cancelled files of a job again; return how many those were."""
    query = """
        UPDATE job_file
        SET status = 'queued', token = token + 1, lease_until = 0, not_before = 0, attempts = 0,
            error = NULL, finished_at = NULL,
            progress = (SELECT COUNT(*) FROM output WHERE file_id = job_file.id) * 1.0
                / (SELECT variations_per_video FROM job WHERE id = job_file.job_id)
        WHERE job_id = :id AND status IN ('failed', 'cancelled')
          AND EXISTS (SELECT 1 FROM job WHERE id = :id AND removed_at IS NULL)"""
    with transaction(db):
        return db.execute(query, {"id": job_id}).rowcount


def is_held(db: sqlite3.Connection, file_id: str, token: int) -> bool:
    """Return whether a claim with this token still stands; past its lease it does, until taken."""
    query = """
        SELECT 1 FROM job_file WHERE id = :id AND token = :token AND status = 'processing'"""
    row = db.execute(query, {"id": file_id, "token": token}).fetchone()
    return row is not None


def rendering_jobs(db: sqlite3.Connection) -> set[str]:
    """Return the ids of the jobs of which any file may be being rendered."""
    query = "SELECT DISTINCT job_id FROM job_file WHERE status = 'processing'"
    return {row["job_id"] for row in db.execute(query)}


def _update(
    db: sqlite3.Connection, file: sqlite3.Row, assignments: str, values: Mapping[str, Any]
) -> bool:
    with transaction(db):
        return _change(db, file, assignments, values)


def _change(
    db: sqlite3.Connection, file: sqlite3.Row, assignments: str, values: Mapping[str, Any]
) -> bool:
    """Write to a claimed file; False when somebody else has it, or it was cancelled."""
    query = f"""
        UPDATE job_file SET {assignments}
        WHERE id = :id AND token = :token AND status = 'processing'"""  # noqa: S608  constants
    named = {**values, "id": file["id"], "token": file["token"]}
    return db.execute(query, named).rowcount == 1
