"""A copy of a SQLite database in one file, made while it is used, and what is checked of one.

Source: https://sqlite.org/backup.html
"""

import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from jobserver.db import meta, migrations
from jobserver.db.connection import Connection
from jobserver.db.errors import DatabaseError, DatabaseUnusable
from jobserver.db.sqlite import connect, copy_database, open_copy

__all__ = ["BackupFacts", "back_up", "check_backup", "open_copy", "put_in_place"]


class BackupFacts(NamedTuple):
    """database_id: of the database that it is a copy of. version: of its tables."""

    database_id: str
    version: int


def back_up(source: Path, target: Path) -> BackupFacts:
    """Copy a database as it is at one moment; others read and write meanwhile.

    target: it is made, or written over. Raises DatabaseError, or OSError.
    """
    with closing(connect(source)) as db:
        copy_database(db, target)
    with closing(open_copy(target)) as copy:
        return _facts(copy)


def check_backup(path: Path) -> BackupFacts:
    """Read every page and row of a backup, and change nothing.

    Raises DatabaseUnusable when it is damaged, foreign or of a newer jobserver.
    """
    if not path.is_file():
        raise DatabaseUnusable(f"There is no backup at {path}")
    try:
        with closing(open_copy(path)) as copy:
            damage = copy.value("PRAGMA integrity_check(1)")
            if damage != "ok" or copy.value("SELECT 1 FROM pragma_foreign_key_check") is not None:
                raise DatabaseUnusable(f"The backup {path} is damaged")
            migrations.refuse_newer(copy)
            return _facts(copy)
    except DatabaseUnusable:
        raise
    except DatabaseError as error:
        raise DatabaseUnusable(f"The backup {path} is damaged ({error.__cause__})") from error


def put_in_place(backup: Path, database: Path) -> None:
    """Make a database of a backup where there is none: whole, or not at all.

    Raises DatabaseUnusable when there is one, or OSError.
    """
    for path in (database, Path(f"{database}-wal")):
        if path.exists():  # a log of another database would be taken for this one's
            raise DatabaseUnusable(f"{path} is there; move it away first")
    draft = Path(f"{database}.restored")
    draft.unlink(missing_ok=True)
    with closing(open_copy(backup)) as copy:
        copy_database(copy, draft)
    os.link(draft, database)  # not over one that was made meanwhile
    draft.unlink()


def _facts(copy: Connection) -> BackupFacts:
    return BackupFacts(meta.database_id(copy), migrations.version(copy))
