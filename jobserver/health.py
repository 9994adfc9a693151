"""Health: alive, and ready to keep what is sent."""

import os
import platform
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from jobserver.db import DatabaseError, connect, database_id
from jobserver.jobs.expiry import is_foreign

ANSWER_WITHIN_S = 0.5  # a health check has no time to wait for a lock

bp = Blueprint("health", __name__, url_prefix="/api")
_started = time.monotonic()


@bp.get("/health")
def show_health() -> ResponseReturnValue:
    """Answer 200, or 503 with `error` when uploads could not be kept. No token needed."""
    mounted = is_writable(current_app.config["UPLOAD_DIR"])
    error = database_error(current_app.config["DATABASE"])
    if error is None and not mounted:
        error = "UPLOAD_DIR is missing or not writable"
    error = error or folder_error(current_app.config)
    answer = {
        "status": "ok" if error is None else "error",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "volumeMounted": mounted,
        "pythonVersion": platform.python_version(),
        "version": version("jobserver"),
        "uptime": int(time.monotonic() - _started),
    }
    return jsonify(answer if error is None else {**answer, "error": error}), 503 if error else 200


def folder_error(config: Mapping[str, Any]) -> str | None:
    """Return None when both folders are this database's, or may become it, else a sentence."""
    with closing(connect(config["DATABASE"], lock_timeout_s=ANSWER_WITHIN_S)) as db:
        for name in ("UPLOAD_DIR", "OUTPUT_DIR"):
            try:
                if is_foreign(db, config[name]):
                    return f"{name} does not hold the files of this database; is it mounted?"
            except OSError:
                return f"{name} is missing or cannot be read"
    return None


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in `folder`: it exists, is ours, not read-only."""
    return os.access(folder, os.W_OK | os.X_OK)


def database_error(path: Path) -> str | None:
    """Return None when the database answers a query about jobs, else a sentence."""
    try:
        with closing(connect(path, lock_timeout_s=ANSWER_WITHIN_S)) as db:
            db.execute("SELECT id FROM job LIMIT 1").fetchall()
            database_id(db)
    except (sqlite3.Error, DatabaseError) as error:
        return f"The database does not answer: {error}"
    return None
