"""Whose folders these are: nothing is put into, or removed from, those of another database.

After a lost or exchanged database every upload looks like an orphan, and must be kept.
"""

import logging

from jobserver.db import Connection, database_id
from jobserver.errors import StorageUnavailable
from jobserver.files.store import Root, Store
from jobserver.jobs import queries

log = logging.getLogger(__name__)


def adopt_unowned(db: Connection, store: Store) -> None:
    """Mark what has no owner yet and may become this database's, before anything is put there."""
    for root in store.roots:
        if root.owner() is None and _may_adopt(db, root):
            root.mark(database_id(db))


def adopt(db: Connection, root: Root) -> None:
    """Mark a root as this database's, whatever it holds: the operator has said so."""
    root.mark(database_id(db))


def owns(db: Connection, root: Root) -> bool:
    """Return whether a root is this database's, or may become it. Raises OSError."""
    owner = root.owner()
    return _may_adopt(db, root) if owner is None else owner == database_id(db)


def owns_all(db: Connection, store: Store) -> bool:
    """Return whether files may be put into, and removed from, all of the store; log if not."""
    foreign = [root.name for root in store.roots if not owns(db, root)]
    for name in foreign:
        log.warning("%s does not hold the files of this database; nothing is removed", name)
    return not foreign


def require_owner(db: Connection, store: Store) -> None:
    """Raise StorageUnavailable unless all of the store is this database's."""
    if not owns_all(db, store):
        raise StorageUnavailable


def _may_adopt(db: Connection, root: Root) -> bool:
    """Return whether a root without an owner may become this database's.

    A database that has jobs has marked its folders: an empty one is a volume not mounted.
    """
    return root.is_empty() and not queries.has_jobs(db)
