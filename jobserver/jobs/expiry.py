"""What nobody owns any more goes: so far, uploads that a killed server left behind."""

import fcntl
import logging
import os
import secrets
import sqlite3
from pathlib import Path

from jobserver.jobs import store

OWNER_FILE = ".database"  # in UPLOAD_DIR: the id of the database whose files these are

log = logging.getLogger(__name__)


def sweep(db: sqlite3.Connection, folder: Path, database_id: str) -> int:
    """Remove files that no row names and no living upload holds; return how many.

    Removes nothing from the folder of another database: after a lost or exchanged
    database every upload looks like an orphan.
    """
    if not _belongs(folder, database_id):
        log.warning("%s holds the files of another database; nothing is removed", folder)
        return 0
    paths = [path for path in folder.iterdir() if path.name != OWNER_FILE and path.is_file()]
    return sum(_remove_orphan(db, path) for path in paths)


def _belongs(folder: Path, database_id: str) -> bool:
    """Return whether `folder` is this database's; an empty one becomes so."""
    owner = folder / OWNER_FILE
    if not owner.exists() and not any(folder.iterdir()):
        draft = folder / f"{OWNER_FILE}.{secrets.token_hex(8)}"
        draft.write_text(database_id)
        os.replace(draft, owner)
    return owner.exists() and owner.read_text() == database_id


def _remove_orphan(db: sqlite3.Connection, path: Path) -> bool:
    if store.is_stored(db, path.name):
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if store.is_stored(db, path.name):  # committed since, and its request is over
                return False
            path.unlink()
    except (FileNotFoundError, BlockingIOError):  # renamed meanwhile, or a living upload
        return False
    return True
