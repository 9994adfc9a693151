"""SQLite in WAL mode: the default, and the only place that opens a database file."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.errors import (
    CommitUnknown,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
)
from jobserver.db.precedence import Precedence
from jobserver.db.reserve import NO_RESERVE, Reserve
from jobserver.modes import create_private

LOG_SIZE = 4 * 1024 * 1024  # bytes; what a long reader let the log grow by is cut off again

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


def translate(error: sqlite3.Error) -> Exception:
    """Return the class of ours that names `error`; an error that is a bug stays what it is.

    The driver's own words are kept as the cause, for the log.
    Source: https://sqlite.org/rescode.html
    """
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolated(str(error))
    if primary in _BUSY:
        return DatabaseBusy()
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return DatabaseFull()
    if primary in _UNAVAILABLE:
        return DatabaseUnavailable()
    return error


class Cursor(sqlite3.Cursor):
    """The driver's cursor with our errors."""

    def execute(self, sql: str, values: Any = ()) -> "Cursor":
        """Run one statement. Raises DatabaseBusy, DatabaseFull, DatabaseUnavailable ..."""
        try:
            super().execute(sql, values)
        except sqlite3.Error as error:
            raise translate(error) from error
        return self

    def executemany(self, sql: str, values: Iterable[Any]) -> "Cursor":
        """Run one statement for each of `values`."""
        try:
            super().executemany(sql, values)
        except sqlite3.Error as error:
            raise translate(error) from error
        return self

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise translate(error) from error

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error


class SqliteConnection(sqlite3.Connection, Connection):
    """A connection to a file; only the thread that made it may use it."""

    precedence: Precedence
    tables = "SELECT name FROM sqlite_master"
    # sqlite3 lets go of the interpreter at every step of a statement. With several threads
    # reading, each such moment is a switch to another that soon wants to read too. One reader of
    # a process at a time costs less for all of them.
    reading = threading.Lock()

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a cursor that raises our errors."""
        return super().cursor(factory)

    def execute(self, sql: str, values: Any = ()) -> Cursor:
        """Run one statement with our cursor; from Python 3.11 on the driver's takes its own."""
        cursor: Cursor = self.cursor()
        return cursor.execute(sql, values)

    def executemany(self, sql: str, values: Iterable[Any]) -> Cursor:
        """Run one statement for each of `values`, with our cursor."""
        cursor: Cursor = self.cursor()
        return cursor.executemany(sql, values)

    def begin(self, *, alone: bool) -> None:
        """Begin IMMEDIATE: who writes is alone; claims begin after those who wait to be.

        A plain BEGIN fails at its first write with SQLITE_BUSY_SNAPSHOT when somebody else
        wrote in between, whatever the timeout.
        Source: https://sqlite.org/isolation.html
        """
        if alone:
            with self.precedence.waiting():
                self.execute("BEGIN IMMEDIATE")
        else:
            self.precedence.give_way()
            self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make what was written durable, and end the transaction.

        Raises CommitUnknown when the log may hold all of it although its sync failed.
        Source: https://sqlite.org/walformat.html#recovery
        """
        try:
            self.execute("COMMIT")
        except DatabaseUnavailable as error:
            raise CommitUnknown from error.__cause__

    def rollback(self) -> None:
        """Undo what was written, unless SQLite did so itself, e.g. when a disk is full."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def clock(self) -> float:
        """Return the host's time: all who use the file are on it."""
        return time.time()

    def set_lock_timeout(self, seconds: float) -> None:
        """Let writes from now on wait so long for another.

        Source: https://sqlite.org/pragma.html#pragma_busy_timeout
        """
        self.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def forget_pages(self) -> None:
        """Drop the page cache: it may hold what the file has no more, when that was damaged.

        Source: https://sqlite.org/pragma.html#pragma_shrink_memory
        """
        self.execute("PRAGMA shrink_memory")

    def checkpoint(self) -> int:
        """Copy the write-ahead log into the database as far as readers allow, wait for nobody.

        Returns the bytes of the log that are still needed. Once there are none the next write
        begins at its start, and cuts it to LOG_SIZE. Raises DatabaseFull.
        Source: https://sqlite.org/pragma.html#pragma_wal_checkpoint
        """
        _busy, frames, copied = self.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        page_size: int = self.value("PRAGMA page_size")
        return 0 if copied >= frames else int(frames) * (page_size + 24)

    def close(self) -> None:
        """Close it; the last one of all processes deletes the write-ahead log."""
        super().close()
        self.reserve.restore_after_close()


def connect(
    path: Path, lock_timeout_s: float = LOCK_TIMEOUT_S, create: bool = False
) -> SqliteConnection:
    """Open the database at `path`; one that is created is its owner's alone, as its WAL is.

    A commit is on disk when it returns: in WAL mode that takes synchronous=FULL.
    Raises DatabaseUnavailable when there is no such file and `create` is false.
    Source: https://sqlite.org/pragma.html#pragma_synchronous
    """
    uri = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"
    reserve = Reserve(path)
    reserve.make_way_to_open()
    if create:
        with suppress(OSError):  # it is there, or SQLite says why it cannot be
            create_private(path)
    try:
        db = sqlite3.connect(
            uri,
            uri=True,
            timeout=lock_timeout_s,
            isolation_level=None,
            cached_statements=256,
            factory=SqliteConnection,
        )
    except sqlite3.Error as error:
        raise translate(error) from error
    db.reserve, db.precedence = reserve, Precedence(path.parent)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA temp_store = MEMORY")  # the disk of temporary files may be full, or missing
    db.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
    return db


def connect_alone(path: Path) -> SqliteConnection:
    """Open a database that no other process has open; none can until this connection is closed.

    Raises DatabaseBusy when one has.
    Source: https://sqlite.org/pragma.html#pragma_locking_mode
    """
    db = connect(path, 1.0)  # who has it open has so for long
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


class FileIdentity(NamedTuple):
    """What tells a file from another one that takes its name."""

    path: Path
    device: int
    inode: int


def file_identity(path: Path) -> FileIdentity:
    """Return the identity of the file that `path` names now. Raises OSError."""
    stat = os.stat(path)
    return FileIdentity(path, stat.st_dev, stat.st_ino)


def copy_database(source: SqliteConnection, target: Path) -> None:
    """Copy all pages at one moment into a file of its owner alone, without a log beside it; synced.

    In one step, because a copy in several begins anew with each write of others. Raises
    DatabaseError.
    """
    with suppress(FileExistsError):
        create_private(target)
    try:
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # a WAL would be made by who only reads
    except sqlite3.Error as error:
        raise translate(error) from error
    with target.open("rb") as file:
        os.fsync(file.fileno())


def open_copy(path: Path) -> SqliteConnection:
    """Open a database that nobody writes, to read it. Raises DatabaseUnavailable."""
    uri = f"file:{quote(str(path))}?mode=ro"
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, factory=SqliteConnection)
    except sqlite3.Error as error:
        raise translate(error) from error
    db.reserve, db.row_factory = NO_RESERVE, sqlite3.Row
    return db
