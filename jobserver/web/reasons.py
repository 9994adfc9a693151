"""Why a job waits, and why the server is degraded: a stable code, and a sentence for people.

{"code": "no_worker", "message": "..."}: programs compare the code, pages show the message.
"""

from collections.abc import Iterable, Sequence

from jobserver.db import Connection
from jobserver.files.space import space_of
from jobserver.jobs import workers
from jobserver.jobs.glance import Glance
from jobserver.jobs.workers import WaitsFor, Workforce
from jobserver.settings import Settings
from jobserver.web.context import current_settings
from jobserver.web.shapes import Reason

_OF_JOB: dict[WaitsFor, str] = {
    "no_worker": "No worker is running; the job waits until one is started",
    "disk_space": "The disk is full; the job waits until there is space",
    "storage_unavailable": "The storage is not available; the job waits until it is",
}
_OF_SERVER: dict[WaitsFor, str] = {
    "no_worker": "Videos wait and no worker is running",
    "disk_space": "The disk is full for uploads, or for what workers render",
    "storage_unavailable": "Videos wait and no worker can use the storage",
}


def of_server(codes: Iterable[WaitsFor], store_trouble: str | None = None) -> list[Reason]:
    """Describe why the server is degraded, each code once.

    store_trouble: why the store is away, instead of what else "storage_unavailable" says.
    """
    sentences = {**_OF_SERVER}
    if store_trouble:
        sentences["storage_unavailable"] = store_trouble
    return [{"code": code, "message": sentences[code]} for code in dict.fromkeys(codes)]


def of_jobs(
    db: Connection, workforce: Workforce, job_ids: Sequence[str], now: float
) -> dict[str, Reason]:
    """Describe what those of these unfinished jobs wait for that are not being rendered.

    One that waits for its turn alone is not among them.
    """
    reason = _reason(workforce, current_settings())
    if reason is None or not job_ids:
        return {}
    rendered = workers.rendered_now(db, job_ids, now)
    return {job_id: reason for job_id in job_ids if job_id not in rendered}


def of_job(found: Glance, settings: Settings) -> Reason | None:
    """Describe what one job waits for beside its turn, if anything."""
    if found.estimate is None or found.rendered:
        return None
    return _reason(found.workforce, settings)


def _reason(workforce: Workforce, settings: Settings) -> Reason | None:
    code = workforce.waits_for
    if code is None:
        return None
    if code == "no_worker" and not _rows_fit(settings):
        code = "disk_space"  # a worker that lives cannot say so then
    return Reason(code=code, message=_OF_JOB[code])


def _rows_fit(settings: Settings) -> bool:
    """Return whether the disk of the database has space; a PostgreSQL's is not ours to see."""
    try:
        return settings.database_url is not None or space_of(settings.database.parent).has(1)
    except OSError:
        return True
