"""What a database can answer instead of rows, whichever driver is below.

Source: https://sqlite.org/rescode.html
"""

import sqlite3

from jobserver.errors import Busy, InsufficientStorage, JobserverError, Unavailable

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


class DatabaseError(JobserverError):
    """Base of what the database raises; `str(error)` is for the log but in its subclasses."""


class DatabaseBusy(DatabaseError, Busy):
    """A lock was not free in time. Nothing was written; the same call may succeed later."""

    sentence = "The database is busy; try again"


class DatabaseFull(DatabaseError, InsufficientStorage):
    """The disk of the database has no space. Nothing was written."""

    sentence = "The database's disk is full"


class DatabaseUnavailable(DatabaseError, Unavailable):
    """The database is missing, damaged, exchanged for another one, or cannot be reached."""

    sentence = "The database is not available"


class DatabaseUnusable(DatabaseError):
    """One sentence on why this database cannot be used; the server does not start on it."""


class ConstraintViolated(DatabaseError):
    """A row would break a rule of the schema. Nothing was written."""


def translate(error: sqlite3.Error) -> Exception:
    """Return the class above that names `error`; an error that is a bug stays what it is.

    The driver's own words are kept as the cause, for the log.
    """
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolated(str(error))
    if primary in _BUSY:
        return DatabaseBusy()
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return DatabaseFull()
    if primary in _UNAVAILABLE:
        return DatabaseUnavailable()
    return error
