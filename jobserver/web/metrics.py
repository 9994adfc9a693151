"""GET /metrics: what Prometheus reads, with a token of its own."""

import hmac
from collections.abc import Iterator

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from jobserver.db import DatabaseError
from jobserver.errors import InvalidToken
from jobserver.files.store import Store
from jobserver.jobs.gauges import gauges
from jobserver.metrics import CONTENT_TYPE, Reading, exposition
from jobserver.settings import Settings
from jobserver.version import VERSION
from jobserver.web.context import current_settings, get_db, get_store
from jobserver.web.health import free_bytes

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def show_metrics() -> ResponseReturnValue:
    """Answer 200 with Prometheus' text; 401 without its token, 404 where METRICS_TOKEN is not set.

    What the database would say is left out while it does not answer: `jobserver_database_up` is 0.
    """
    settings = current_settings()
    _require_token(settings)
    readings = [*_of_database(), *_of_host(settings, get_store())]
    answer = Response(exposition(settings.metrics_dir, readings), content_type=CONTENT_TYPE)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _require_token(settings: Settings) -> None:
    """Raise NotFound, or InvalidToken."""
    if settings.metrics_token is None:
        raise NotFound("Not found")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token.strip().encode("utf-8", "surrogateescape")
    right = hmac.compare_digest(given, settings.metrics_token.encode())
    if scheme.lower() != "bearer" or not right:
        raise InvalidToken


def _of_database() -> Iterator[Reading]:
    try:
        db = get_db()
        found = gauges(db, db.clock())
    except DatabaseError:
        yield _one("database_up", "Whether the database answers.", 0)
        return
    yield _one("database_up", "Whether the database answers.", 1)
    yield _one("queue_files", "Files that wait or are rendered.", found.waiting)
    yield _one(
        "queue_head_age_seconds",
        "Seconds that the file which is next has waited for its turn.",
        found.head_age_s,
    )
    yield _one("workers", "Worker processes that live, on all hosts.", found.workforce.living)
    yield _one("render_threads", "Files they render at once.", found.workforce.threads)
    yield Reading(
        "webhook_deliveries",
        "Deliveries of webhooks that are kept.",
        found.deliveries,
        label="status",
    )
    yield Reading(
        "resumable_uploads",
        "Uploads by tus: begun, finished, or used by a job.",
        found.resumable,
        label="state",
    )
    yield _one("storage_used_bytes", "Bytes that jobs use.", found.used_bytes)


def _of_host(settings: Settings, store: Store) -> Iterator[Reading]:
    if settings.storage_quota:
        yield _one("storage_quota_bytes", "STORAGE_QUOTA.", settings.storage_quota)
    free = free_bytes(store)
    if free is not None:
        yield _one("storage_free_bytes", "Bytes free on the fuller of the disks.", free)
    yield Reading("build", "The version of the server; always 1.", {VERSION: 1}, label="version")


def _one(name: str, about: str, value: float) -> Reading:
    return Reading(name, about, {"": value})
