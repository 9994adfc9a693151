"""Transactions, each with the lock that it relies on.

Who writes in `exclusive` is alone: SQLite has one lock for that, and on PostgreSQL one advisory
lock does the same. The names say what it guards, so that a search finds who relies on it. On
PostgreSQL a claim locks rows alone, in one sequence for all: first rows of job_file, then those
of their job in job_standing, then what is counted of the queue.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
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
    del lock  # there is one for all of them
    return _transaction(db, alone=True)


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

    On SQLite it begins after those who wait in `exclusive()`.
    """
    return _transaction(db, alone=False)


@contextmanager
def _transaction(db: Connection, *, alone: bool) -> Iterator[None]:
    db.begin(alone=alone)
    try:
        yield
        db.commit()
    except BaseException:
        db.rollback()
        db.end_transaction(committed=False)
        raise
    db.end_transaction(committed=True)


def checkpoint(db: Connection) -> int:
    """Tidy the write-ahead log, and wait for nobody; return its bytes that are still needed.

    Raises DatabaseFull.
    """
    return db.checkpoint()


def _checkpoint(db: Connection, lent: Lent) -> int:
    """Make a checkpoint, with blocks of the reserve for pages that the database has not yet."""
    for _ in range(4):
        with suppress(DatabaseFull):
            return db.checkpoint()
        lent.release(OPENING)
    return lent.log_size()
