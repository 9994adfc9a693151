"""Health: alive, and ready to keep what is sent."""

import os
import platform
import time
from contextlib import closing
from pathlib import Path

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.db import DatabaseError, connect, database_id
from jobserver.db.migrations import is_current
from jobserver.errors import StorageUnavailable
from jobserver.files.store import Store
from jobserver.jobs import ownership, queries
from jobserver.times import iso_utc
from jobserver.version import VERSION
from jobserver.web.context import current_settings, get_store

ANSWER_WITHIN_S = 0.5  # a health check has no time to wait for a lock

bp = Blueprint("health", __name__, url_prefix="/api")
_started = time.monotonic()


@bp.get("/health")
def show_health() -> ResponseReturnValue:
    """Answer 200, or 503 with `error` when uploads could not be kept. No token needed."""
    settings = current_settings()
    mounted = is_writable(settings.upload_dir)
    error = database_error(settings.database)
    if error is None and not mounted:
        error = "UPLOAD_DIR is missing or not writable"
    error = error or folder_error(settings.database, get_store())
    answer = {
        "status": "ok" if error is None else "error",
        "timestamp": iso_utc(time.time()),
        "volumeMounted": mounted,
        "pythonVersion": platform.python_version(),
        "version": VERSION,
        "uptime": int(time.monotonic() - _started),
    }
    return jsonify(answer if error is None else {**answer, "error": error}), 503 if error else 200


def folder_error(database: Path, store: Store) -> str | None:
    """Return None when every folder is this database's, or may become it, else a sentence."""
    with closing(connect(database, lock_timeout_s=ANSWER_WITHIN_S)) as db:
        for root in store.roots:
            try:
                if not ownership.owns(db, root):
                    return f"{root.name} does not hold the files of this database; is it mounted?"
            except StorageUnavailable as error:
                return str(error)
    return None


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in `folder`: it exists, is ours, not read-only."""
    return os.access(folder, os.W_OK | os.X_OK)


def database_error(path: Path) -> str | None:
    """Return None when the database answers a query about jobs, else a sentence."""
    try:
        with closing(connect(path, lock_timeout_s=ANSWER_WITHIN_S)) as db:
            if not is_current(db):
                return "The database does not answer: it is not of this version"
            queries.has_jobs(db)
            database_id(db)
    except DatabaseError as error:
        return f"The database does not answer: {error.__cause__ or error}"
    return None
