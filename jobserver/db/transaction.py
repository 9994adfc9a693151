"""Transactions, each with the lock that it relies on.

SQLite has one lock: who writes is alone. The names say what that guards, so that another
engine can keep the same promise, and so that a search finds who relies on it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from jobserver.db.connection import Connection

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
    return _transaction(db)


def claiming(db: Connection) -> AbstractContextManager[None]:
    """Write inside `with` about rows that a claim names: needs no lock but that of the rows."""
    return _transaction(db)


@contextmanager
def _transaction(db: Connection) -> Iterator[None]:
    """Begin IMMEDIATE: a transaction that reads first and writes later fails at once with

    SQLITE_BUSY_SNAPSHOT when somebody else wrote in between, whatever the timeout.
    Source: https://sqlite.org/isolation.html
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
