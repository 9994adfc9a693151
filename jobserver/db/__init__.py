"""The database: the only room that knows a driver.

engine       which one: open it, make it, check it
connection   what the others see: rows as NamedTuples, errors as our own classes
sqlite       a file, the default
postgres/    a server, for several hosts
transaction  writes, each with the name of the lock it relies on
precedence   who waits to write goes before the next claim
reserve      space that is kept for removing when the disk is full
per_thread   the connection that a thread keeps
migrations   numbered scripts; `initialise` and `check`
transfer     all rows of a SQLite database into a PostgreSQL
backup       a copy of a SQLite database, made while it is used
meta         what the database says about itself
errors       busy, full, unavailable, unusable
"""

from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.engine import (
    Place,
    check,
    connect,
    identity,
    initialise,
    label,
    many_hosts,
    open_alone,
)
from jobserver.db.errors import (
    CommitUnknown,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    DatabaseUnusable,
)
from jobserver.db.meta import ClockNote, clock_note, database_id, note_clock, take_turn
from jobserver.db.migrations import latest_version
from jobserver.db.per_thread import thread_connection
from jobserver.db.reserve import Reserve
from jobserver.db.sqlite import file_identity
from jobserver.db.transaction import Lock, checkpoint, claiming, exclusive, removing

__all__ = [
    "LOCK_TIMEOUT_S",
    "ClockNote",
    "CommitUnknown",
    "Connection",
    "ConstraintViolated",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseUnavailable",
    "DatabaseUnusable",
    "Lock",
    "Place",
    "Reserve",
    "check",
    "checkpoint",
    "claiming",
    "clock_note",
    "connect",
    "database_id",
    "exclusive",
    "file_identity",
    "identity",
    "initialise",
    "label",
    "latest_version",
    "many_hosts",
    "note_clock",
    "open_alone",
    "removing",
    "take_turn",
    "thread_connection",
]
