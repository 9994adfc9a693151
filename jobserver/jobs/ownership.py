"""Whose folders these are: nothing is put into, or removed from, those of another database.

After a lost or exchanged database every upload looks like an orphan, and must be kept.
"""

import logging
from contextlib import suppress

from jobserver.db import Connection, database_id
from jobserver.errors import StorageUnavailable
from jobserver.fault_log import FaultLog
from jobserver.files.store import Root, Store
from jobserver.jobs import queries

log = logging.getLogger(__name__)
_faults = FaultLog(log)


def adopt_unowned(db: Connection, store: Store) -> None:
    """Mark what has no owner yet and may become this database's, before anything is put there.

    What cannot be looked at stays as it is; owns_all() says so. Raises OSError.
    """
    for root in store.roots:
        with suppress(StorageUnavailable):
            if root.owner() is None and _may_adopt(db, root):
                root.mark(database_id(db), only_new=True)


def adopt_at_start(db: Connection, store: Store) -> None:
    """As adopt_unowned(), which each upload does again: a full disk does not stop a start."""
    try:
        adopt_unowned(db, store)
    except OSError as error:
        log.warning("a folder cannot be marked as this database's: %s", error)


def adopt(db: Connection, store: Store) -> None:
    """Mark the store as this database's, whatever it holds: the operator has said so.

    Raises StorageUnavailable, before anything is marked, when a part of it cannot be read.
    """
    for root in store.roots:
        root.is_empty()
    for root in store.roots:
        root.mark(database_id(db))


def owns(db: Connection, root: Root, database: str) -> bool:
    """Return whether a root is this database's, or may become it. Raises StorageUnavailable.

    database: its id.
    """
    owner = root.owner()
    return _may_adopt(db, root) if owner is None else owner == database


def owns_all(db: Connection, store: Store) -> bool:
    """Return whether files may be put into, and removed from, all of the store; log if not."""
    reasons, database = why_not_all(db, store), database_id(db)
    for reason in reasons:
        _faults.seen(database, f"{reason}; nothing is removed")
    if not reasons:
        _faults.over(database)
    return not reasons


def why_not_all(db: Connection, store: Store) -> list[str]:
    """Return, as sentences without their full stop, what keeps parts of the store from us."""
    database = database_id(db)
    return [reason for root in store.roots if (reason := _why_not(db, root, database))]


def _why_not(db: Connection, root: Root, database: str) -> str | None:
    try:
        if owns(db, root, database):
            return None
    except StorageUnavailable as error:
        return str(error)
    return f"{root.name} does not hold the files of this database"


def require_owner(db: Connection, store: Store) -> None:
    """Raise StorageUnavailable unless all of the store is this database's.

    StoreUnreachable when that cannot be known: then the client may try again.
    """
    if not owns_all(db, store):
        store.is_writable()
        raise StorageUnavailable


def _may_adopt(db: Connection, root: Root) -> bool:
    """Return whether a root without an owner may become this database's.

    A database that has jobs has marked its folders: an empty one is a volume not mounted.
    """
    return root.is_empty() and not queries.has_jobs(db)
