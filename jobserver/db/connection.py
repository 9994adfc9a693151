"""Connections to SQLite in WAL mode: the only place that opens the database.

Elsewhere the SQL keeps to what PostgreSQL also understands.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from jobserver.db.errors import translate
from jobserver.db.precedence import Precedence
from jobserver.db.reserve import Reserve
from jobserver.modes import create_private

LOCK_TIMEOUT_S = 5.0  # how long a write waits for another before it raises DatabaseBusy
LOG_SIZE = 4 * 1024 * 1024  # bytes; what a long reader let the log grow by is cut off again

Values = Mapping[str, Any]
NO_VALUES: Values = {}


T = TypeVar("T", bound=tuple[Any, ...])


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


class Connection(sqlite3.Connection):
    """A connection whose rows come as NamedTuples and whose errors are ours.

    Transactions are begun by `exclusive()`, `removing()` and `claiming()`; a write outside one
    is a bug.
    """

    reserve: Reserve
    precedence: Precedence

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

    def all(self, kind: type[T], sql: str, values: Values = NO_VALUES) -> list[T]:
        """Return every row as `kind`, whose fields the columns must be, in their order."""
        cursor = self.execute(sql, values)
        _check_columns(kind, sql, cursor)
        return [kind(*row) for row in cursor.fetchall()]

    def one(self, kind: type[T], sql: str, values: Values = NO_VALUES) -> T | None:
        """Return the first row as `kind`, or None."""
        cursor = self.execute(sql, values)
        _check_columns(kind, sql, cursor)
        row = cursor.fetchone()
        return None if row is None else kind(*row)

    def value(self, sql: str, values: Values = NO_VALUES) -> Any:
        """Return the first column of the first row, or None."""
        row = self.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def column(self, sql: str, values: Values = NO_VALUES) -> list[Any]:
        """Return the first column of every row."""
        return [row[0] for row in self.execute(sql, values).fetchall()]

    def write(self, sql: str, values: Values = NO_VALUES) -> int:
        """Change rows inside the caller's transaction; return how many."""
        self._require_transaction()
        return self.execute(sql, values).rowcount

    def write_many(self, sql: str, values: Iterable[Values]) -> None:
        """Run one statement for each of `values`, inside the caller's transaction."""
        self._require_transaction()
        self.executemany(sql, values)

    def close(self) -> None:
        """Close it; the last one of all processes deletes the write-ahead log."""
        super().close()
        self.reserve.restore_after_close()

    def _require_transaction(self) -> None:
        if not self.in_transaction:
            raise RuntimeError("a write needs a transaction that its caller has begun")


_checked: set[tuple[type[Any], str]] = set()  # statements whose columns are known to fit


def _check_columns(kind: type[Any], sql: str, cursor: Any) -> None:
    """Raise TypeError unless the columns are the fields of `kind`; looked at once a statement."""
    if (kind, sql) in _checked:
        return
    columns = tuple(column[0] for column in cursor.description)
    if columns != kind._fields:
        raise TypeError(f"{kind.__name__} has the fields {kind._fields}, not {columns}")
    _checked.add((kind, sql))


def connect(path: Path, lock_timeout_s: float = LOCK_TIMEOUT_S, create: bool = False) -> Connection:
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
            factory=Connection,
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


class FileIdentity(NamedTuple):
    """What tells a file from another one that takes its name."""

    path: Path
    device: int
    inode: int


def file_identity(path: Path) -> FileIdentity:
    """Return the identity of the file that `path` names now. Raises OSError."""
    stat = os.stat(path)
    return FileIdentity(path, stat.st_dev, stat.st_ino)
