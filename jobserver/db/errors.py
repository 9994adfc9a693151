"""What a database can answer instead of rows, whichever driver is below."""

from jobserver.errors import (
    Busy,
    InsufficientStorage,
    JobserverError,
    OutcomeUnknown,
    Unavailable,
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


class CommitUnknown(DatabaseUnavailable, OutcomeUnknown):
    """COMMIT itself failed: all was written, or nothing; nobody knows before it is read again."""


class DatabaseUnusable(DatabaseError):
    """One sentence on why this database cannot be used; the server does not start on it."""


class ConstraintViolated(DatabaseError):
    """A row would break a rule of the schema. Nothing was written."""
