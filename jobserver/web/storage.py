"""How much is stored, how much fits."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.jobs import queries, quota
from jobserver.web import service_shapes
from jobserver.web.auth import require_auth
from jobserver.web.context import current_settings, get_db, get_store

bp = Blueprint("storage", __name__, url_prefix="/api/storage")
bp.before_request(require_auth)


@bp.get("")
def show_storage() -> ResponseReturnValue:
    """Answer 200 with bytes used by jobs, the quota (null: none), bytes free, and jobs.

    Bytes free are null where the store has no end.
    """
    db, settings, free = get_db(), current_settings(), get_store().free()
    answer: service_shapes.Storage = {
        "used": quota.used_bytes(db),
        "quota": settings.storage_quota or None,
        "free": None if free is None else max(0, free - settings.min_free_space),
        "jobs": queries.count_jobs(db),
    }
    return jsonify(answer)
