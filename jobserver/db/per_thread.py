"""One connection a thread, kept with its prepared statements for as long as the thread lives."""

import threading
from pathlib import Path

from jobserver.db.connection import Connection, connect, file_identity
from jobserver.db.errors import DatabaseUnavailable, DatabaseUnusable
from jobserver.db.migrations import is_current

_thread = threading.local()


def thread_connection(path: Path) -> Connection:
    """Return the connection that this thread keeps to the database at `path`.

    Connects anew when another file has taken the name, since SQLite would go on writing to
    the deleted one. Raises DatabaseUnavailable when there is none, or one of another version.
    """
    try:
        identity = file_identity(path)
    except OSError as error:
        raise DatabaseUnavailable from error
    if getattr(_thread, "identity", None) != identity:
        _thread.connection, _thread.identity = _connect(path), identity
    connection: Connection = _thread.connection
    return connection


def _connect(path: Path) -> Connection:
    db = connect(path)
    try:
        if is_current(db):
            return db
    except DatabaseUnusable as error:  # the tables of another program
        raise DatabaseUnavailable from error
    raise DatabaseUnavailable
