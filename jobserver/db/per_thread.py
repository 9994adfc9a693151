"""One connection a thread, kept with its prepared statements for as long as the thread lives."""

import threading
from pathlib import Path

from jobserver.db.connection import Connection
from jobserver.db.engine import Place, connect
from jobserver.db.errors import DatabaseUnavailable, DatabaseUnusable
from jobserver.db.migrations import is_current
from jobserver.db.sqlite import file_identity

_thread = threading.local()


def thread_connection(place: Place) -> Connection:
    """Return the connection that this thread keeps to the database at `place`.

    Connects anew when another file has taken the name, since SQLite would go on writing to
    the deleted one. Raises DatabaseUnavailable when there is none, or one of another version.
    """
    identity: object = place
    if isinstance(place, Path):
        try:
            identity = file_identity(place)
        except OSError as error:
            raise DatabaseUnavailable from error
    if getattr(_thread, "identity", None) != identity:
        _thread.connection, _thread.identity = _connect(place), identity
    connection: Connection = _thread.connection
    return connection


def _connect(place: Place) -> Connection:
    db = connect(place)
    try:
        if is_current(db):
            return db
    except DatabaseUnusable as error:  # the tables of another program
        raise DatabaseUnavailable from error
    raise DatabaseUnavailable
