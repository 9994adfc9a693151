"""The database: the only room that knows a driver.

connection   open it; rows as NamedTuples, errors as our own classes
transaction  writes, each with the name of the lock it relies on
precedence   who waits to write goes before the next claim
reserve      space that is kept for removing when the disk is full
per_thread   the connection that a thread keeps
migrations   numbered scripts; `initialise` and `check`
meta         what the database says about itself
errors       busy, full, unavailable, unusable
"""

from jobserver.db.connection import LOCK_TIMEOUT_S, Connection, connect, file_identity
from jobserver.db.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    DatabaseUnusable,
)
from jobserver.db.meta import ClockNote, clock_note, database_id, note_clock
from jobserver.db.migrations import check, initialise, latest_version
from jobserver.db.per_thread import thread_connection
from jobserver.db.reserve import Reserve
from jobserver.db.transaction import Lock, checkpoint, claiming, exclusive, removing

__all__ = [
    "LOCK_TIMEOUT_S",
    "ClockNote",
    "Connection",
    "ConstraintViolated",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseUnavailable",
    "DatabaseUnusable",
    "Lock",
    "Reserve",
    "check",
    "checkpoint",
    "claiming",
    "clock_note",
    "connect",
    "database_id",
    "exclusive",
    "file_identity",
    "initialise",
    "latest_version",
    "note_clock",
    "removing",
    "thread_connection",
]
