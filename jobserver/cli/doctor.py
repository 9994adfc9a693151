"""doctor: is everything there that a server and a worker need? One line a check.

What to do about each is in docs/operations.md, under the name of the check.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal, NamedTuple

import click

from jobserver import db, render
from jobserver.auth.keys import FILE_NAME
from jobserver.cli.common import command, current_settings, current_store
from jobserver.db import Connection, clock_note
from jobserver.errors import JobserverError
from jobserver.files.store import Store
from jobserver.jobs import clock, ownership, workers
from jobserver.jobs.clock import Reading
from jobserver.settings import Settings, weak_secrets
from jobserver.worker.engine import fonts_of, render_settings

Level = Literal["ok", "warning", "error"]
SKEW_S = 5.0  # by which the clock of this host may differ from the database's
LANDLOCK_WITH_TCP = 4  # its version
LOW_SPACE = 5 * 10**9  # bytes; as the alert
GB = 10**9


class Finding(NamedTuple):
    """What a check found, in a few words."""

    level: Level
    words: str


@command("doctor")
def doctor() -> None:
    """Say what is wrong here, if anything: one line a check. Ends with 1 when something is.

    A warning is not wrong. It changes nothing, and may be run beside a server.
    """
    settings, store = current_settings(), current_store()
    levels = set()
    for name, check in CHECKS.items():
        level, words = _finding(check, settings, store)
        levels.add(level)
        click.echo(f"{level:7}  {name:8}  {words}")
    raise SystemExit("error" in levels)


def _finding(
    check: Callable[[Settings, Store], Finding], settings: Settings, store: Store
) -> Finding:
    try:
        return check(settings, store)
    except OSError as error:
        path = error.filename or "a file"
        return Finding("error", f"{path}: {error.strerror or error}")
    except (JobserverError, render.EngineError) as error:
        cause = f" ({error.__cause__})" if isinstance(error, db.DatabaseError) else ""
        return Finding("error", f"{error}{cause}")


@contextmanager
def _open(settings: Settings) -> Iterator[Connection]:
    with closing(db.connect(settings.database_place)) as connection:
        yield connection


def _settings(settings: Settings, _store: Store) -> Finding:
    if settings.auth_password is None:
        return Finding("error", "AUTH_PASSWORD is not set, so nobody can sign in")
    if weak := weak_secrets(settings):
        return Finding("warning", "; ".join(weak))
    if settings.secret_key is None and not (settings.instance_dir / FILE_NAME).exists():
        return Finding("ok", "SECRET_KEY is made at the first start, and kept")
    return Finding("ok", "every setting can be used")


def _database(settings: Settings, _store: Store) -> Finding:
    db.check(settings.database_place)
    return Finding("ok", f"{db.label(settings.database_place)}, version {db.latest_version()}")


def _store(settings: Settings, store: Store) -> Finding:
    if not store.is_writable():
        return Finding("error", "UPLOAD_DIR is missing or not writable")
    with _open(settings) as connection:
        if reasons := ownership.why_not_all(connection, store):
            return Finding("error", "; ".join(reasons))
    names = ", ".join(root.name for root in store.roots)
    return Finding("ok", f"{names}: writable, and this database's")


def _folders(settings: Settings, _store: Store) -> Finding:
    """The folders beside the store's."""
    needed = {"DATABASE": settings.database_folder}
    if settings.storage_url is not None:
        needed["SCRATCH_DIR"] = settings.scratch_dir
    if settings.metrics_token is not None:
        needed["METRICS_DIR"] = settings.metrics_dir
    folders = {name: folder for name, folder in needed.items() if folder is not None}
    for name, folder in folders.items():
        if not folder.is_dir():
            return Finding("error", f"{name}: {folder} is not there; init-db makes it")
        if not os.access(folder, os.W_OK | os.X_OK):
            return Finding("error", f"{name}: {folder} is not writable to this user")
    return Finding("ok", ", ".join(folders) or "none is needed")


def _space(settings: Settings, store: Store) -> Finding:
    free = store.free()
    if free is None:
        return Finding("ok", "the store says no end")
    words = f"{free / GB:.1f} GB free, of which {settings.min_free_space / GB:.1f} GB stay"
    if not store.has_room_for_uploads():
        return Finding("error", f"{words}: uploads are refused with a 507")
    return Finding("warning" if free < LOW_SPACE else "ok", words)


def _ffmpeg(settings: Settings, _store: Store) -> Finding:
    return Finding("ok", render.version(render_settings(settings)))


def _encoder(settings: Settings, _store: Store) -> Finding:
    engine = render_settings(settings)
    render.check(engine)
    fonts_of(engine)
    encoding = engine.encoding
    words = " ".join(filter(None, (encoding.encoder, encoding.preset)))
    return Finding("ok", f"{words} encodes a frame, FONTS_DIR can be read")


def _landlock(settings: Settings, _store: Store) -> Finding:
    version = render.landlock_version()
    if not render_settings(settings).sandbox:
        return Finding("warning", f"{settings.encoder} needs its devices: ffmpeg is not confined")
    if not version:
        return Finding("warning", "this kernel has none, or it is switched off or filtered")
    if version < LANDLOCK_WITH_TCP:
        return Finding("warning", f"version {version} confines files, not TCP (Linux 6.7)")
    return Finding("ok", f"version {version}: files and TCP")


def _clock(settings: Settings, _store: Store) -> Finding:
    with _open(settings) as connection:
        skew = time.time() - connection.clock()
        note = clock_note(connection)
    if abs(skew) > SKEW_S:
        return Finding("warning", f"it differs from the database's by {skew:.0f} s")
    judged = clock.judge(note, None, Reading(time.time(), time.monotonic()))
    if not clock.is_trusted(judged):
        return Finding("warning", "it may have jumped since the last round: nothing expires")
    return Finding("ok", "it is the database's, and has not jumped")


def _engine(settings: Settings, _store: Store) -> Finding:
    """Who renders."""
    with _open(settings) as connection:
        found = workers.workforce(connection, connection.clock())
        waits = workers.files_wait(connection)
    if found.waits_for is None:
        return Finding("ok", f"{found.living} workers live, {found.threads} files at once")
    level: Level = "error" if waits else "warning"
    if not found.living:
        return Finding(level, "no worker lives")
    return Finding(level, f"all {found.living} workers wait: {found.waits_for}")


CHECKS: dict[str, Callable[[Settings, Store], Finding]] = {
    "settings": _settings,
    "folders": _folders,
    "database": _database,
    "store": _store,
    "space": _space,
    "ffmpeg": _ffmpeg,
    "encoder": _encoder,
    "landlock": _landlock,
    "clock": _clock,
    "engine": _engine,
}
