"""One connection a thread, kept with its prepared statements for as long as the thread lives."""

import threading
from contextlib import nullcontext
from pathlib import Path

from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.engine import Place, connect
from jobserver.db.errors import DatabaseUnavailable, DatabaseUnusable
from jobserver.db.migrations import is_usable
from jobserver.db.sqlite import file_identity

_thread = threading.local()


def thread_connection(place: Place, opening_s: float | None = None) -> Connection:
    """Return the connection that this thread keeps to the database at `place`.

    Connects anew when another file has taken the name, since SQLite would go on writing to
    the deleted one. opening_s: how long that waits for a lock, instead of LOCK_TIMEOUT_S.
    Raises DatabaseUnavailable when there is none, or one of another version.
    """
    identity: object = place
    if isinstance(place, Path):
        try:
            identity = file_identity(place)
        except OSError as error:
            raise DatabaseUnavailable from error
    if getattr(_thread, "identity", None) != identity:
        _thread.connection, _thread.identity = _connect(place, opening_s), identity
    connection: Connection = _thread.connection
    return connection


def _connect(place: Place, opening_s: float | None) -> Connection:
    db = connect(place) if opening_s is None else connect(place, opening_s)
    try:
        with nullcontext() if opening_s is None else db.within(opening_s):
            usable = is_usable(db)
        if not usable:
            raise DatabaseUnusable("it is not of this version")
    except DatabaseUnusable as error:  # also the tables of another program
        raise DatabaseUnavailable from error
    if opening_s is not None:
        db.set_lock_timeout(LOCK_TIMEOUT_S)
    return db
