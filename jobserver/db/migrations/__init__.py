"""Numbered SQL scripts that make the database, or bring an older one up to date.

`0001_*.sql` makes version 1, each later one a version more. From 0005 on they only add, so
that a server of the version before can go on while the next one starts.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from jobserver.db import meta
from jobserver.db.connection import LOCK_TIMEOUT_S, Connection, connect
from jobserver.db.errors import DatabaseBusy, DatabaseError, DatabaseUnusable
from jobserver.db.transaction import exclusive
from jobserver.ids import generate_id
from jobserver.modes import exclude_others

SCRIPTS: tuple[str, ...] = tuple(
    script.read_text()
    for script in sorted(files(__package__).iterdir(), key=lambda script: script.name)
    if script.name.endswith(".sql")
)


def latest_version() -> int:
    """Return the version that this code works with."""
    return len(SCRIPTS)


def is_current(db: Connection) -> bool:
    """Return whether the database has the version that this code works with."""
    return _version(db) == latest_version()


def initialise(path: Path) -> int:
    """Create the database or bring it up to date; return its version. Keeps every row.

    Harmless when repeated, also by two processes at the same time.
    Raises DatabaseUnusable when the file is damaged, foreign or of a newer jobserver.
    """
    with _explained(path), closing(connect(path, create=True)) as db:
        _missing_scripts(db)  # refuses a foreign file before anything in it changes
        _refuse_damage(db, path)
        _use_wal(db)
        db.execute("PRAGMA foreign_keys = OFF")  # a table is rebuilt by dropping the old one
        with exclusive(db, "schema"):
            _upgrade(db)
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with suppress(OSError):  # others could read those of before
                exclude_others(path.with_name(name))
    return latest_version()


def check(path: Path) -> str:
    """Return the database's id. Raises DatabaseUnusable when it is missing, damaged or outdated.

    Reads every page once (`quick_check`), so it belongs to a start, not to a request.
    """
    with _explained(path), closing(connect(path)) as db:
        _refuse_damage(db, path)
        if not is_current(db):
            reason = f"it has version {_version(db)}, not {latest_version()}"
            raise DatabaseUnusable(_advice(path, reason))
        return meta.database_id(db)


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


def _version(db: Connection) -> int:
    """Return 0 for an empty file. Raises DatabaseUnusable for another program's tables."""
    tables = set(db.column("SELECT name FROM sqlite_master"))
    if tables and not {"meta", "job", "job_file"} <= tables:
        raise DatabaseUnusable("The file holds the tables of another program")
    version = meta.read(db, "schema_version") if tables else "0"
    if not version.isdecimal():
        raise DatabaseUnusable(f"The database has no version but {version!r}")
    return int(version)


def _missing_scripts(db: Connection) -> tuple[str, ...]:
    version = _version(db)
    if version > latest_version():
        raise DatabaseUnusable(f"The database has version {version}; this jobserver is older")
    return SCRIPTS[version:]


def _upgrade(db: Connection) -> None:
    for script in _missing_scripts(db):
        for statement in _statements(script):
            db.execute(statement)
    if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise DatabaseUnusable("The rows of the database do not fit together")
    query = "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO "
    db.write(query + "NOTHING", {"name": "database_id", "value": generate_id()})
    version = {"name": "schema_version", "value": str(latest_version())}
    db.write(query + "UPDATE SET value = :value", version)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
