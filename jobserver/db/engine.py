"""Which engine: a path is SQLite's, a text is the URL of a PostgreSQL.

The driver of PostgreSQL is imported only where there is such a URL.
"""

from pathlib import Path
from types import ModuleType

from jobserver.db import sqlite
from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.errors import DatabaseUnusable
from jobserver.db.migrations import on_sqlite

Place = Path | str


def connect(place: Place, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Connection:
    """Open the database. lock_timeout_s: how long a write waits for another.

    Raises DatabaseUnavailable when there is none; of a PostgreSQL only its first use does.
    """
    if isinstance(place, Path):
        return sqlite.connect(place, lock_timeout_s)
    connection: Connection = _postgres().connect(place, lock_timeout_s)
    return connection


def initialise(place: Place) -> int:
    """Create the database or bring it up to date; return its version. Keeps every row.

    Harmless when repeated, also by several processes, or hosts, at the same time.
    Raises DatabaseUnusable when it is damaged, foreign or of a newer jobserver.
    """
    if isinstance(place, Path):
        return on_sqlite.initialise(place)
    version: int = _postgres().initialise(place)
    return version


def check(place: Place) -> str:
    """Return the database's id. Raises DatabaseUnusable when it is missing, damaged or outdated."""
    if isinstance(place, Path):
        return on_sqlite.check(place)
    database_id: str = _postgres().check(place)
    return database_id


def open_alone(path: Path) -> Connection:
    """Open a SQLite database that no other process has open, nor can until it is closed.

    Raises DatabaseUnusable when a server or a worker has, or when it is missing or damaged.
    """
    return on_sqlite.open_alone(path)


def refuse_unreachable(url: str) -> None:
    """Raise DatabaseUnusable, with the reason, when a PostgreSQL does not let us in."""
    _postgres().refuse_unreachable(url)


def identity(place: Place) -> object:
    """Return what tells this database from another one that takes its place.

    Raises OSError or DatabaseError.
    """
    if isinstance(place, Path):
        return sqlite.file_identity(place)
    return _postgres().identity(place)


def many_hosts(place: Place) -> bool:
    """Return whether processes of other hosts may use the same database."""
    return not isinstance(place, Path)


def label(place: Place) -> str:
    """Return what sentences call the database: never its password."""
    return str(place) if isinstance(place, Path) else str(_postgres().label(place))


def _postgres() -> ModuleType:
    """Import the driver, which only the extra `postgres` brings. Raises DatabaseUnusable."""
    try:
        from jobserver.db import postgres
    except ImportError as error:
        advice = f"DATABASE_URL needs `pip install 'jobserver[postgres]'` ({error})"
        raise DatabaseUnusable(advice) from error
    return postgres
