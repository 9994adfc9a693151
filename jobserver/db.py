"""The database: connect, one connection per request, transactions, `flask init-db`.

SQLite in WAL mode. What only SQLite speaks stays in this file; elsewhere the SQL keeps to
what PostgreSQL also understands.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import click
from flask import Flask, current_app, g
from flask.cli import with_appcontext

from jobserver.errors import DatabaseUnavailable
from jobserver.ids import generate_id

LOCK_TIMEOUT_S = 5.0  # how long a write waits for another before it is a 503


def _script(name: str) -> str:
    return files("jobserver").joinpath(name).read_text()


# MIGRATIONS[n] is the script that turns version n + 1 into version n + 2.
MIGRATIONS: tuple[str, ...] = (_script("schema_2.sql"), _script("schema_3.sql"))

_kept = threading.local()

# Taken around the reads of a call that many clients repeat. sqlite3 lets go of the interpreter
# at every step of a statement; with several threads reading, each such moment is a switch to
# another that soon wants to read too. One reader at a time costs less for all of them.
reading = threading.Lock()


class DatabaseError(RuntimeError):
    """One sentence on why this file cannot be used as the database."""


def connect(
    path: Path, lock_timeout_s: float = LOCK_TIMEOUT_S, create: bool = False
) -> sqlite3.Connection:
    """Open the database at `path`; rows answer to column names.

    Transactions are begun by hand (see `transaction`). A commit is on disk when it
    returns: in WAL mode that takes synchronous=FULL.
    Raises sqlite3.OperationalError when there is no such file and `create` is false.
    Source: https://sqlite.org/pragma.html#pragma_synchronous
    """
    uri = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"
    db = sqlite3.connect(
        uri, uri=True, timeout=lock_timeout_s, isolation_level=None, cached_statements=256
    )
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = FULL")
    return db


def get_db() -> sqlite3.Connection:
    """Return this request's connection: the one its thread keeps, prepared statements and all.

    Raises DatabaseUnavailable (503) when the file is gone or another one than before, since
    SQLite would go on writing to the deleted one.
    """
    if "db" not in g:
        g.db = _kept_connection(current_app.config["DATABASE"])
    db: sqlite3.Connection = g.db
    return db


def _kept_connection(path: Path) -> sqlite3.Connection:
    try:
        identity = file_identity(path)
        if getattr(_kept, "identity", None) != identity:
            _kept.db, _kept.identity = _connect_current(path), identity
    except (OSError, DatabaseError) as error:
        raise DatabaseUnavailable from error
    return _kept.db  # type: ignore[no-any-return]


def file_identity(path: Path) -> tuple[Path, int, int]:
    """Return what tells a file from another one that takes its name. Raises OSError."""
    stat = os.stat(path)
    return path, stat.st_dev, stat.st_ino


def _connect_current(path: Path) -> sqlite3.Connection:
    db = connect(path)
    if _version(db) != latest_version():
        raise DatabaseError("The database is not of this version")
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write inside `with`: committed and durable at its end, undone when it raises.

    IMMEDIATE, because a transaction that reads first and writes later fails at once with
    SQLITE_BUSY_SNAPSHOT when somebody else wrote in between, whatever the timeout.
    Source: https://sqlite.org/isolation.html
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def initialise(path: Path) -> int:
    """Create the database or bring it up to date; return its version. Never drops anything.

    Harmless when repeated, also by two processes at the same time.
    Raises DatabaseError when the file is damaged, foreign or of a newer jobserver.
    """
    try:
        with closing(connect(path, create=True)) as db:
            _missing_steps(db)  # refuses a foreign file before anything in it changes
            _refuse_damage(db, path)
            _use_wal(db)
            with transaction(db):
                _upgrade(db)
    except sqlite3.DatabaseError as error:
        raise DatabaseError(_advice(path, str(error))) from error
    return latest_version()


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch the journal; SQLite waits for no lock here, so two switches at once need this."""
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _refuse_damage(db: sqlite3.Connection, path: Path) -> None:
    damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise DatabaseError(_advice(path, damage))


def check(path: Path) -> str:
    """Return the database's id. Raises DatabaseError when it is missing, damaged or outdated.

    Reads every page once (`quick_check`), so it belongs to a start, not to a request.
    """
    try:
        with closing(connect(path)) as db:
            damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = _version(db)
            if damage == "ok" and version == latest_version():
                return _meta(db, "database_id")
    except sqlite3.DatabaseError as error:
        raise DatabaseError(_advice(path, str(error))) from error
    reason = f"it has version {version}, not {latest_version()}" if damage == "ok" else damage
    raise DatabaseError(_advice(path, reason))


def _advice(path: Path, reason: str) -> str:
    if not path.exists():
        return f"There is no database at {path}; run `flask --app wsgi init-db`"
    sentence = " ".join(reason.split())
    return f"The database {path} cannot be used ({sentence}); nothing in it was changed"


def latest_version() -> int:
    return 1 + len(MIGRATIONS)


def _missing_steps(db: sqlite3.Connection) -> tuple[str, ...]:
    version = _version(db)
    if version > latest_version():
        raise DatabaseError(f"The database has version {version}; this jobserver is older")
    return (_script("schema.sql"), *MIGRATIONS)[version:]


def _version(db: sqlite3.Connection) -> int:
    """Return 0 for an empty file. Raises DatabaseError for somebody else's tables."""
    tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_master")}
    if tables and not {"meta", "job", "job_file"} <= tables:
        raise DatabaseError("The file holds the tables of another program")
    version = _meta(db, "schema_version") if tables else "0"
    if not version.isdecimal():
        raise DatabaseError(f"The database has no version but {version!r}")
    return int(version)


def _meta(db: sqlite3.Connection, name: str) -> str:
    row = db.execute("SELECT value FROM meta WHERE name = :name", {"name": name}).fetchone()
    if row is None:
        raise DatabaseError(f"The database does not say its {name}")
    return str(row["value"])


def _upgrade(db: sqlite3.Connection) -> None:
    for step in _missing_steps(db):
        for statement in _statements(step):
            db.execute(statement)
    query = "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO "
    db.execute(query + "NOTHING", {"name": "database_id", "value": generate_id()})
    version = {"name": "schema_version", "value": str(latest_version())}
    db.execute(query + "UPDATE SET value = :value", version)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def database_id(db: sqlite3.Connection) -> str:
    """Return the id that this database was given when it was made."""
    return _meta(db, "database_id")


def last_seen(db: sqlite3.Connection) -> float | None:
    """Return the Unix time that a worker noted last, or None before the first."""
    row = db.execute("SELECT value FROM meta WHERE name = 'last_seen'").fetchone()
    return None if row is None else float(row["value"])


def note_last_seen(db: sqlite3.Connection, now: float) -> None:
    """Note the Unix time."""
    query = """
        INSERT INTO meta (name, value) VALUES ('last_seen', :now)
        ON CONFLICT (name) DO UPDATE SET value = :now"""
    with transaction(db):
        db.execute(query, {"now": str(now)})


def sign_in_failures(db: sqlite3.Connection, since: float, now: float) -> list[sqlite3.Row]:
    """Return `address` and `at` (Unix seconds) of the wrong passwords in (since, now].

    Oldest first. A time after `now` was noted before the clock was set back: not told.
    """
    query = "SELECT address, at FROM sign_in_failure WHERE at > :since AND at <= :now ORDER BY at"
    return db.execute(query, {"since": since, "now": now}).fetchall()


def add_sign_in_failure(db: sqlite3.Connection, address: str, since: float, now: float) -> None:
    """Note one wrong password at `now`, Unix seconds; drop what lies outside (since, now]."""
    window = {"since": since, "now": now}
    db.execute("DELETE FROM sign_in_failure WHERE at <= :since OR at > :now", window)
    query = "INSERT INTO sign_in_failure (address, at) VALUES (:address, :now)"
    db.execute(query, {"address": address, "now": now})


def forget_sign_in_failures(db: sqlite3.Connection, address: str) -> None:
    """Drop what was noted about `address`, after it gave the right password."""
    db.execute("DELETE FROM sign_in_failure WHERE address = :address", {"address": address})


def _finish_request(_error: BaseException | None) -> None:
    db = g.pop("db", None)
    if db is not None and db.in_transaction:
        db.execute("ROLLBACK")


@click.command("init-db")
@with_appcontext
def _init_db() -> None:
    """Create the database or bring it up to date; keeps what is in it."""
    path = current_app.config["DATABASE"]
    try:
        version = initialise(path)
    except DatabaseError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The database {path} has version {version}.")


def init_app(app: Flask) -> None:
    """Give `app` its teardown and its command."""
    app.teardown_appcontext(_finish_request)
    app.cli.add_command(_init_db)
