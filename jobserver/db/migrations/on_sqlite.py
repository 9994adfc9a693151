"""Making a SQLite database, bringing it up to date, and refusing one that cannot be used."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from jobserver.db import meta, migrations
from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.errors import DatabaseBusy, DatabaseError, DatabaseUnusable
from jobserver.db.migrations import is_usable, latest_version, version
from jobserver.db.sqlite import connect, connect_alone
from jobserver.db.transaction import exclusive
from jobserver.modes import exclude_others


def initialise(path: Path) -> int:
    """Create the database or bring it up to date; return its version. Keeps every row.

    Harmless when repeated, also by two processes at the same time.
    Raises DatabaseUnusable when the file is damaged, foreign or of a newer jobserver.
    """
    with _explained(path), closing(connect(path, create=True)) as db:
        migrations.refuse_newer(db)  # refuses a foreign file before anything in it changes
        _refuse_damage(db, path)
        _use_wal(db)
        db.execute("PRAGMA foreign_keys = OFF")  # a table is rebuilt by dropping the old one
        with exclusive(db, "schema"):
            made = _upgrade(db)
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with suppress(OSError):  # others could read those of before
                exclude_others(path.with_name(name))
    return made


def check(path: Path) -> str:
    """Return the database's id. Raises DatabaseUnusable when it is missing, damaged or outdated.

    Reads every page once (`quick_check`), so it belongs to a start, not to a request.
    """
    with _explained(path), closing(connect(path)) as db:
        _refuse_damage(db, path)
        if not is_usable(db):
            reason = f"it has version {version(db)}, not {latest_version()}"
            raise DatabaseUnusable(_advice(path, reason))
        return meta.database_id(db)


def open_alone(path: Path) -> Connection:
    """See engine.open_alone()."""
    with _explained(path):
        try:
            db = connect_alone(path)
        except DatabaseBusy as error:
            sentence = f"The database {path} is in use; stop its server and its workers first"
            raise DatabaseUnusable(sentence) from error
        try:
            _refuse_damage(db, path)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the driver says inside `with` into one sentence about `path`."""
    try:
        yield
    except DatabaseUnusable:
        raise
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise DatabaseUnusable(_advice(path, str(error.__cause__ or error))) from error


def _refuse_damage(db: Connection, path: Path) -> None:
    damage = db.value("PRAGMA quick_check(1)")
    if damage != "ok":
        raise DatabaseUnusable(_advice(path, damage))


def _advice(path: Path, reason: str) -> str:
    if not path.exists():
        return f"There is no database at {path}; run `flask --app wsgi init-db`"
    sentence = " ".join(reason.split())
    return f"The database {path} cannot be used ({sentence}); nothing in it was changed"


def _use_wal(db: Connection) -> None:
    """Switch the journal; SQLite waits for no lock here, so two switches at once need this."""
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except DatabaseBusy:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def _upgrade(db: Connection) -> int:
    found = migrations.refuse_newer(db)
    for script in migrations.SCRIPTS[found:]:
        for statement in _statements(script):
            db.execute(statement)
    if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise DatabaseUnusable("The rows of the database do not fit together")
    return migrations.note_version(db, found)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
