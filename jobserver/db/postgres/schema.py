"""Making a database on a PostgreSQL, bringing it up to date, refusing one that cannot be used."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg import conninfo

from jobserver.db import meta
from jobserver.db.connection import Connection
from jobserver.db.errors import DatabaseError, DatabaseUnusable
from jobserver.db.migrations import is_usable, latest_version, on_postgres, version
from jobserver.db.postgres.connection import connect
from jobserver.db.postgres.errors import reason
from jobserver.db.postgres.sessions import address
from jobserver.db.transaction import exclusive

UPGRADE_S = 60.0  # how long init-db waits for one that runs on another host


def initialise(url: str) -> int:
    """Create the tables or bring them up to date; return their version. Keeps every row.

    Harmless when repeated, also by all hosts at the same time.
    Raises DatabaseUnusable when it cannot be reached, is foreign or of a newer jobserver.
    """
    with _explained(url), closing(connect(url, UPGRADE_S)) as db:
        _refuse_encoding(db)
        with exclusive(db, "schema"):
            db.execute("SET LOCAL statement_timeout = 0")  # a large table takes its time
            made = on_postgres.upgrade(db)
    return made


def check(url: str) -> str:
    """Return the database's id. Raises DatabaseUnusable when it is missing or outdated."""
    with _explained(url), closing(connect(url)) as db:
        _refuse_encoding(db)
        if not (found := version(db)):
            raise DatabaseUnusable(f"The database {label(url)} is empty; run {INIT_DB}")
        if not is_usable(db):
            advice = f"; run {INIT_DB}" if found < latest_version() else ""
            sentence = f"it has version {found}, not {latest_version()}{advice}"
            raise DatabaseUnusable(f"The database {label(url)} cannot be used: {sentence}")
        return meta.database_id(db)


INIT_DB = "`flask --app wsgi init-db`"


def refuse_unreachable(url: str) -> None:
    """Raise DatabaseUnusable, with the reason, when the server does not let us in."""
    with _explained(url), closing(connect(url)) as db:
        _refuse_encoding(db)


def identity(url: str) -> str:
    """Return what tells this database from another one behind the same URL: its id.

    Raises DatabaseError.
    """
    with closing(connect(url)) as db:
        return meta.database_id(db)


def label(url: str) -> str:
    """Return `name at host:port` of a URL: what an operator may read, so no password."""
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return "of DATABASE_URL"
    host = parts.get("host") or "localhost"
    port = f":{parts['port']}" if "port" in parts else ""
    return f"{parts.get('dbname') or parts.get('user') or ''} at {host}{port}".strip()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what the server says inside `with` into one sentence about it."""
    try:
        psycopg.connect(address(url)).close()  # says at once what a pool would try again
        yield
    except DatabaseUnusable:
        raise
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # the driver's words hold the whole URL, and so a password
        raise DatabaseUnusable("DATABASE_URL is no URL that PostgreSQL understands") from None
    except (DatabaseError, psycopg.Error) as error:
        words = reason(error.__cause__ or error)
        raise DatabaseUnusable(f"The database {label(url)} cannot be used ({words})") from error


def _refuse_encoding(db: Connection) -> None:
    encoding = db.value("SHOW server_encoding")
    if encoding != "UTF8":
        raise DatabaseUnusable(f"The database has the encoding {encoding}; it must be UTF8")
