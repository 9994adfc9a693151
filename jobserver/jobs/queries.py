"""What is read about jobs: rows as typed values, nothing is changed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs.glance import Glance, glance
from jobserver.jobs.model import (
    FailedOutput,
    File,
    FileSummary,
    Job,
    JobState,
    Output,
    OutputHistory,
    status_of,
)


def _columns(kind: type[NamedTuple], table: str) -> str:
    return ", ".join(f"{table}.{field}" for field in kind._fields)


_JOB, _FILE, _OUTPUT = (
    _columns(Job, "job_summary"),
    _columns(File, "job_file"),
    _columns(Output, "output"),
)


def find_job(db: Connection, job_id: str) -> Job | None:
    """Return the job, or None when there is none or its files are being deleted."""
    query = f"SELECT {_JOB} FROM job_summary WHERE id = :id AND removed_at IS NULL"  # noqa: S608
    return db.one(Job, query, {"id": job_id})


_KEPT = _columns(Job, "job").partition(", job.total_videos")[0]  # the rest follows from its files
_STATE = f"""
    SELECT {_KEPT}, {_FILE} FROM job JOIN job_file ON job_file.job_id = job.id
    WHERE job.id = :id AND job.removed_at IS NULL ORDER BY job_file.position"""  # noqa: S608


def job_state(db: Connection, job_id: str, seen: Glance | None = None) -> JobState | None:
    """Return a job, its files in the sequence of the upload, and what it waits for; or None.

    seen: what glance() has returned just before, if anything: its estimate is taken.
    One statement, because a thread may lose the interpreter at each step of one.
    """
    seen = seen or glance(db, job_id, 0.0)
    rows = db.execute(_STATE, {"id": job_id}).fetchall()
    if not rows:
        return None
    end = _KEPT.count(",") + 1
    every = [File(*row[end:]) for row in rows]
    files, assets = videos_among(every), [file for file in every if file.role != "video"]
    status = status_of([file.status for file in files], [file.status for file in assets])
    job = Job._make((*rows[0][:end], len(files), status))
    return JobState(job, files, None if job.ended or seen is None else seen.estimate, assets)


def videos_among(files: Iterable[File]) -> list[File]:
    """Return the main clips of a job's files."""
    return [file for file in files if file.role == "video"]


def videos_of(db: Connection, job_id: str) -> list[File]:
    """Return the job's main clips in the sequence of the upload."""
    return videos_among(files_of(db, job_id))


def files_of(db: Connection, job_id: str) -> list[File]:
    """Return the job's files in the sequence of the upload, its videos first.

    Those of every role; none when there is no such job.
    """
    query = f"""
        SELECT {_FILE} FROM job_file WHERE job_id = :id
        ORDER BY role <> 'video', position"""  # noqa: S608
    return db.all(File, query, {"id": job_id})


def outputs_of(db: Connection, job_id: str) -> list[Output]:
    """Return the job's outputs, file by file, by number."""
    query = f"""
        SELECT {_OUTPUT} FROM output JOIN job_file ON job_file.id = output.file_id
        WHERE job_file.job_id = :id ORDER BY job_file.position, output.number"""  # noqa: S608
    return db.all(Output, query, {"id": job_id})


def output_ids(db: Connection, job_id: str) -> list[tuple[str, str, str]]:
    """Return of the job's outputs, in the sequence of outputs_of(), the ids of file and output,

    and what of an output changes: the id of its nearest sibling, or "".
    """
    query = """
        SELECT output.file_id, output.id, COALESCE(output.nearest_output, '')
        FROM output JOIN job_file ON job_file.id = output.file_id
        WHERE job_file.job_id = :id ORDER BY job_file.position, output.number"""
    return [(row[0], row[1], row[2]) for row in db.execute(query, {"id": job_id}).fetchall()]


def failed_outputs(db: Connection, job_id: str) -> list[FailedOutput]:
    """Return the outputs of a job's brief that cannot be made, file by file, by number."""
    query = f"""
        SELECT {_columns(FailedOutput, "failed_output")}
        FROM failed_output JOIN job_file ON job_file.id = failed_output.file_id
        WHERE job_file.job_id = :id
        ORDER BY job_file.position, failed_output.number"""  # noqa: S608
    return db.all(FailedOutput, query, {"id": job_id})


def brief_of(db: Connection, job_id: str) -> str | None:
    """Return the canonical text of a job's brief, or None without one."""
    text: str | None = db.value("SELECT brief FROM job WHERE id = :id", {"id": job_id})
    return text


def output_counts(db: Connection, job_id: str) -> dict[str, int]:
    """Return how many outputs those files of the job have that have any, by id."""
    query = """
        SELECT output.file_id, COUNT(*) FROM output JOIN job_file ON job_file.id = output.file_id
        WHERE job_file.job_id = :id GROUP BY output.file_id"""
    return {row[0]: row[1] for row in db.execute(query, {"id": job_id}).fetchall()}


def published_outputs(db: Connection, job_id: str) -> list[Output]:
    """Return the job's outputs in the sequence in which they appeared, whatever the clock said.

    Those of before there were events come first.
    """
    query = f"""
        SELECT {_OUTPUT} FROM output JOIN job_file ON job_file.id = output.file_id
        LEFT JOIN (SELECT output_id, MAX(id) AS event_id FROM event
                   WHERE job_id = :id AND kind = 'output.ready' GROUP BY output_id) AS ready
               ON ready.output_id = output.id
        WHERE job_file.job_id = :id
        ORDER BY COALESCE(ready.event_id, 0), output.created_at, job_file.position,
                 output.number"""  # noqa: S608
    return db.all(Output, query, {"id": job_id})


def output_history(db: Connection, job_id: str) -> OutputHistory:
    """Return how the job's outputs came to be those that there are.

    What one transaction records has one time, so another time is that of another change.
    """
    query = """
        SELECT COUNT(*) FILTER (WHERE kind = 'output.ready') AS appeared,
               COUNT(*) FILTER (WHERE kind = 'output.removed') AS removed,
               COUNT(*) FILTER (WHERE event.id > last.id AND event.at <> last.at) > 0
                   AS changed_since
        FROM event, (SELECT id, at FROM event WHERE job_id = :id AND kind = 'output.ready'
                     ORDER BY id DESC LIMIT 1) AS last
        WHERE job_id = :id"""
    appeared, removed, changed_since = db.execute(query, {"id": job_id}).fetchone()
    return OutputHistory(appeared, removed, bool(changed_since))


def published_numbers(db: Connection, file_id: str) -> set[int]:
    """Return which variations of a file are published."""
    query = "SELECT number FROM output WHERE file_id = :id"
    return set(db.column(query, {"id": file_id}))


def file_summaries(db: Connection, job_ids: Sequence[str]) -> dict[str, list[FileSummary]]:
    """Return the files of several jobs by job, in the sequence of their upload."""
    by_job: dict[str, list[FileSummary]] = {job_id: [] for job_id in job_ids}
    if not job_ids:
        return by_job
    marks = ", ".join(f":id{n}" for n in range(len(job_ids)))
    query = f"""
        SELECT id, job_id, name, status, progress, finished_at, thumbnail,
               (SELECT COUNT(*) FROM output WHERE file_id = job_file.id) AS completed_variations,
               role, weight
        FROM job_file WHERE job_id IN ({marks}) ORDER BY role <> 'video', position"""  # noqa: S608
    values = {f"id{n}": job_id for n, job_id in enumerate(job_ids)}
    for file in db.all(FileSummary, query, values):
        by_job[file.job_id].append(file)
    return by_job


def find_output(db: Connection, job_id: str, output_id: str) -> Output | None:
    """Return an output of a job whose files are not being deleted, or None."""
    query = f"""
        SELECT {_OUTPUT}
        FROM output JOIN job_file ON job_file.id = output.file_id
        JOIN job ON job.id = job_file.job_id
        WHERE output.id = :output_id AND job.id = :job_id AND job.removed_at IS NULL"""  # noqa: S608
    return db.one(Output, query, {"output_id": output_id, "job_id": job_id})


def is_unfinished(db: Connection, file_id: str) -> bool:
    """Return whether a file of this id waits or is rendered."""
    query = "SELECT 1 FROM job_file WHERE id = :id AND status IN ('queued', 'processing')"
    return db.value(query, {"id": file_id}) is not None


def has_expired(db: Connection, job_id: str) -> bool:
    """Return whether a job of this id was there once and has been removed."""
    query = """
        SELECT 1 FROM expired_job WHERE id = :id
        UNION ALL SELECT 1 FROM job WHERE id = :id AND removed_at IS NOT NULL"""
    return db.value(query, {"id": job_id}) is not None


def has_jobs(db: Connection) -> bool:
    """Return whether there is any job, also one whose files are being deleted."""
    return db.value("SELECT 1 FROM job LIMIT 1") is not None


def count_jobs(db: Connection) -> int:
    """Return how many jobs there are."""
    count: int = db.value("SELECT COUNT(*) FROM job WHERE removed_at IS NULL")
    return count


class Place(NamedTuple):
    """Where a job stands in the list; Unix seconds and its id."""

    created_at: float
    id: str


def place_of(db: Connection, job_id: str) -> Place | None:
    """Return the place of a job, also of one that has expired, or None."""
    query = """
        SELECT created_at, id FROM job WHERE id = :id
        UNION ALL SELECT created_at, id FROM expired_job WHERE id = :id"""
    return db.one(Place, query, {"id": job_id})


def newest_jobs(db: Connection, limit: int, before: Place | None = None) -> list[Job]:
    """Return at most `limit` jobs, newest first. before: only those older than that place."""
    older = "" if before is None else "AND (created_at, id) < (:created_at, :id)"
    query = f"""
        SELECT {_JOB} FROM job_summary WHERE removed_at IS NULL {older}
        ORDER BY created_at DESC, id DESC LIMIT :limit"""  # noqa: S608
    return db.all(Job, query, {**(before._asdict() if before else {}), "limit": limit})


def file_names(db: Connection, job_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return (id of the job, name of the file) of all files of these jobs; 30,000 at most."""
    if not job_ids:
        return []
    marks = ", ".join(f":id{n}" for n in range(len(job_ids)))
    query = f"SELECT job_id, name FROM job_file WHERE job_id IN ({marks})"  # noqa: S608
    values = {f"id{n}": job_id for n, job_id in enumerate(job_ids)}
    return [(row[0], row[1]) for row in db.execute(query, values).fetchall()]


class Pace(NamedTuple):
    """What the latest outputs cost: seconds and bytes a megapixel and second of picture.

    seconds: of outputs that were encoded each for itself, without a brief. None where there are
    none.
    """

    seconds: float | None
    size: float | None


_PACE = """
    SELECT SUM(CASE WHEN axes IS NULL THEN seconds END)
               / SUM(CASE WHEN axes IS NULL THEN shown END),
           SUM(size) / SUM(shown)
    FROM (SELECT output.axes, output.seconds, output.size,
                 COALESCE(output.duration, job_file.duration)
                     * COALESCE(output.width, job_file.width)
                     * COALESCE(output.height, job_file.height) / 1000000.0 AS shown
          FROM output JOIN job_file ON job_file.id = output.file_id
          ORDER BY output.created_at DESC LIMIT 100) AS latest
    WHERE shown > 0"""


def pace(db: Connection) -> Pace:
    """Return what the latest hundred outputs cost."""
    seconds, size = db.execute(_PACE, {}).fetchone() or (None, None)
    return Pace(seconds, None if size is None else float(size))
