"""Transactions, each with the lock that it relies on.

SQLite has one lock: who writes is alone. The names say what that guards, so that another
engine can keep the same promise, and so that a search finds who relies on it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Literal

from jobserver.db.connection import Connection
from jobserver.db.errors import DatabaseFull
from jobserver.db.reserve import OPENING, Lent

Lock = Literal[
    "quota",  # what is stored is counted, chosen for eviction and added to by one at a time
    "queue",  # cancel, retry and removal see a job's files as they are, not as they were
    "publish",  # nobody cancels or claims a file while its outputs appear
    "sign-in",  # attempts are counted one after the other, over all processes
    "housekeeping",  # notes about the server itself
    "schema",  # migrations run once
]


def exclusive(db: Connection, lock: Lock) -> AbstractContextManager[None]:
    """Write inside `with`, as the only writer: durable at its end, undone when it raises.

    Raises DatabaseBusy when others hold the lock for longer than connect()'s timeout.
    """
    del lock  # SQLite has one for all of them
    return _transaction(db, db.precedence.waiting)


@contextmanager
def removing(db: Connection, lock: Lock) -> Iterator[None]:
    """Write as inside `exclusive()`, also on a disk that is full to its last byte.

    For what ends work or deletes rows, and for what leads there, as a sign-in: nothing that
    makes the database larger for good. Few rows a transaction: the reserve bounds it.
    """
    if not db.reserve.is_low():
        with exclusive(db, lock):
            yield
        return
    with db.reserve.lent() as lent:
        used = _checkpoint(db, lent)
        with exclusive(db, lock):
            lent.extend_log(used)
            yield


def claiming(db: Connection) -> AbstractContextManager[None]:
    """Write inside `with` about rows that a claim names: needs no lock but that of the rows.

    Begins after those who wait in `exclusive()`.
    """
    db.precedence.give_way()
    return _transaction(db, nullcontext)


@contextmanager
def _transaction(
    db: Connection, waiting: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Begin IMMEDIATE: a transaction that reads first and writes later fails at once with

    SQLITE_BUSY_SNAPSHOT when somebody else wrote in between, whatever the timeout.
    Source: https://sqlite.org/isolation.html
    """
    with waiting():
        db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def checkpoint(db: Connection) -> int:
    """Copy the write-ahead log into the database as far as readers allow, and wait for nobody.

    Returns the bytes of the log that are still needed. Once there are none the next write
    begins at its start, and cuts it to LOG_SIZE. Raises DatabaseFull.
    Source: https://sqlite.org/pragma.html#pragma_wal_checkpoint
    """
    _busy, frames, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    page_size: int = db.value("PRAGMA page_size")
    return 0 if copied >= frames else int(frames) * (page_size + 24)


def _checkpoint(db: Connection, lent: Lent) -> int:
    """Make a checkpoint, with blocks of the reserve for pages that the database has not yet."""
    for _ in range(4):
        with suppress(DatabaseFull):
            return checkpoint(db)
        lent.release(OPENING)
    return lent.log_size()
