"""Health: alive, ready to keep what is sent, and somebody there to render it."""

import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.db import (
    Connection,
    DatabaseError,
    DatabaseUnavailable,
    database_id,
    thread_connection,
)
from jobserver.db.migrations import is_usable
from jobserver.errors import StorageUnavailable, StoreUnreachable, Unavailable
from jobserver.files.space import space_of
from jobserver.files.store import Store
from jobserver.jobs import ownership, workers
from jobserver.jobs.workers import WaitsFor, Workforce
from jobserver.settings import Settings
from jobserver.times import iso_utc
from jobserver.version import VERSION
from jobserver.web import reasons, service_shapes
from jobserver.web.context import current_settings, get_store
from jobserver.web.error_codes import code_of
from jobserver.web.hot_path import timestamp

ANSWER_WITHIN_S = 0.5  # a health check has no time to wait for a lock

bp = Blueprint("health", __name__, url_prefix="/api")
_started = time.monotonic()


class Health(NamedTuple):
    """What was found. error: why uploads could not be kept, or None.

    workforce: None when the database does not answer. waits_for: what something waits for that
    an operator has to do. store_trouble: why the store is away, a sentence, or None.
    """

    error: Unavailable | None
    workforce: Workforce | None = None
    waits_for: tuple[WaitsFor, ...] = ()
    store_trouble: str | None = None


@bp.get("/health")
def show_health() -> ResponseReturnValue:
    """Answer 200, or 503 with `error` and `code` when uploads could not be kept. No token needed.

    A 200 says `degraded`, with `reasons`, while something waits for the operator.
    """
    settings, store = current_settings(), get_store()
    found = look(settings, store)
    answer: service_shapes.Health = {
        "status": "error" if found.error else "degraded" if found.waits_for else "ok",
        "timestamp": iso_utc(time.time()),
        "volumeMounted": is_mounted(store),
        "pythonVersion": platform.python_version(),
        "version": VERSION,
        "uptime": int(time.monotonic() - _started),
        "worker": _worker_json(found.workforce),
        "freeBytes": free_bytes(store),
    }
    if found.waits_for:
        answer["reasons"] = reasons.of_server(found.waits_for, found.store_trouble)
    if found.error:
        answer["error"] = str(found.error)
        answer["code"] = code_of(type(found.error)) or ""
    return jsonify(answer), 503 if found.error else 200


def look(settings: Settings, store: Store) -> Health:
    """Return what is the matter, if anything: first the database, then the store.

    Status and lists go on without a store of objects, so that is no error of this host.
    """
    trouble = None
    try:
        db = thread_connection(settings.database_place, ANSWER_WITHIN_S)
        with db.reading, db.within(ANSWER_WITHIN_S):
            db.forget_pages()
            if not is_usable(db):
                return Health(_unanswering("it is not of this version"))
            database = database_id(db)
            workforce, files_wait = workers.workforce(db, db.clock()), workers.files_wait(db)
        try:
            if not store.is_writable():
                error = StorageUnavailable("UPLOAD_DIR is missing or not writable")
                return Health(error, workforce)
            if reason := folder_error(db, store, database):
                return Health(StorageUnavailable(reason), workforce)
        except StoreUnreachable as unreachable:
            trouble = str(unreachable)
    except DatabaseError as failure:
        return Health(_unanswering(_cause(failure)))
    waits_for: tuple[WaitsFor, ...] = (
        *(("storage_unavailable",) if trouble else ()),
        *_what_files_wait_for(workforce if files_wait else None),
        *_what_uploads_wait_for(store, settings.database_folder),
    )
    return Health(None, workforce, waits_for, trouble)


def _unanswering(reason: object) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"The database does not answer: {reason}")


def _cause(error: DatabaseError) -> object:
    """Return why, without the path that an OSError names."""
    cause = error.__cause__
    return cause.strerror if isinstance(cause, OSError) else cause or error


def folder_error(db: Connection, store: Store, database: str) -> str | None:
    """Return None when every folder is this database's, or may become it, else a sentence.

    database: its id. Raises StoreUnreachable.
    """
    for root in store.roots:
        try:
            if not ownership.owns(db, root, database):
                return f"{root.name} does not hold the files of this database; is it mounted?"
        except StoreUnreachable:
            raise
        except StorageUnavailable as error:
            return str(error)
    return None


def is_mounted(store: Store) -> bool:
    """Return whether the store is there and takes uploads."""
    try:
        return store.is_writable()
    except StoreUnreachable:
        return False


def free_bytes(store: Store) -> int | None:
    """Return the bytes free on the fuller of the disks, or None: not there, or without an end."""
    try:
        return store.free()
    except OSError:
        return None


def _what_files_wait_for(workforce: Workforce | None) -> Iterator[WaitsFor]:
    if workforce is not None and workforce.waits_for is not None:
        yield workforce.waits_for


def _what_uploads_wait_for(store: Store, folder: Path | None) -> Iterator[WaitsFor]:
    try:
        rows_fit = folder is None or space_of(folder).has(1)
        if not (store.has_room_for_uploads() and rows_fit):
            yield "disk_space"
    except OSError:  # gone since it was looked at
        yield "storage_unavailable"


def _worker_json(workforce: Workforce | None) -> service_shapes.Workers:
    if workforce is None:
        return {"count": None, "lastSeen": None}
    return {"count": workforce.living, "lastSeen": timestamp(workforce.last_seen)}
