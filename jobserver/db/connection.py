"""What the rest of jobserver knows of a database connection, whichever engine is behind it.

`sqlite.py` and `postgres/` have the engines. Elsewhere SQL keeps to what both understand, with
values by name (`:id`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol, TypeVar

from jobserver.db.reserve import Reserve

LOCK_TIMEOUT_S = 5.0  # how long a write waits for another before it raises DatabaseBusy

Values = Mapping[str, Any]
NO_VALUES: Values = {}

T = TypeVar("T", bound=tuple[Any, ...])


class Rows(Protocol):
    """What a statement gave."""

    @property
    def description(self) -> Any:
        """A sequence a column, whose first item is its name; None without columns."""

    @property
    def rowcount(self) -> int:
        """How many rows a write changed."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""


class Connection:
    """A connection whose rows come as NamedTuples and whose errors are ours.

    Transactions are begun by `exclusive()`, `removing()` and `claiming()`; a write outside one
    is a bug. One thread at a time may use a connection.
    """

    reserve: Reserve
    # SQL whose rows are the names of the tables and views that there are
    tables: ClassVar[str]
    # entered by a thread that is about to read a lot of rows
    reading: ClassVar[AbstractContextManager[Any]] = nullcontext()
    _after_commit: tuple[Callable[[], object], ...] = ()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""
        raise NotImplementedError

    def execute(self, sql: str, values: Any = ()) -> Rows:
        """Run one statement. Raises DatabaseBusy, DatabaseFull, DatabaseUnavailable ..."""
        raise NotImplementedError

    def executemany(self, sql: str, values: Iterable[Any]) -> Rows:
        """Run one statement for each of `values`."""
        raise NotImplementedError

    def begin(self, *, alone: bool) -> None:
        """Begin a transaction; alone: no other that was begun so runs at the same time."""
        raise NotImplementedError

    def commit(self) -> None:
        """Make what was written durable, and end the transaction."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Undo what was written, and end the transaction; harmless when there is none."""
        raise NotImplementedError

    def after_commit(self, call: Callable[[], object]) -> None:
        """Call this when the transaction that has begun is durable; never if it is undone."""
        self._after_commit = (*self._after_commit, call)

    def end_transaction(self, *, committed: bool) -> None:
        """Make the calls of after_commit(), or forget them."""
        calls, self._after_commit = self._after_commit, ()
        for call in calls if committed else ():
            call()

    def skip_locked(self, table: str) -> str:
        """Return SQL that ends a SELECT of one row of `table`, so that no two choose the same."""
        del table
        return ""

    def close(self) -> None:
        """Give back what the connection holds."""
        raise NotImplementedError

    def clock(self) -> float:
        """Return the time by the clock that all hosts on this database share; Unix seconds."""
        raise NotImplementedError

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Let reads inside `with` wait no longer than so for what this process shares."""
        del seconds
        return nullcontext()

    def set_lock_timeout(self, seconds: float) -> None:
        """Let writes from now on wait so long for another."""
        raise NotImplementedError

    def forget_pages(self) -> None:
        """Let the next read look at the database, not at what was read of it before."""

    def checkpoint(self) -> int:
        """Tidy a write-ahead log that is ours to tidy; return its bytes that are still needed."""
        return 0

    def all(self, kind: type[T], sql: str, values: Values = NO_VALUES) -> list[T]:
        """Return every row as `kind`, whose fields the columns must be, in their order."""
        rows = self.execute(sql, values)
        _check_columns(kind, sql, rows.description)
        return [kind(*row) for row in rows.fetchall()]

    def one(self, kind: type[T], sql: str, values: Values = NO_VALUES) -> T | None:
        """Return the first row as `kind`, or None."""
        rows = self.execute(sql, values)
        _check_columns(kind, sql, rows.description)
        row = rows.fetchone()
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
        if not self.in_transaction:
            raise RuntimeError(OUTSIDE)
        return self.execute(sql, values).rowcount

    def write_many(self, sql: str, values: Iterable[Values]) -> None:
        """Run one statement for each of `values`, inside the caller's transaction."""
        if not self.in_transaction:
            raise RuntimeError(OUTSIDE)
        self.executemany(sql, values)


OUTSIDE = "a write needs a transaction that its caller has begun"
_checked: set[tuple[type[Any], str]] = set()  # statements whose columns are known to fit


def _check_columns(kind: type[Any], sql: str, description: Sequence[Sequence[Any]]) -> None:
    """Raise TypeError unless the columns are the fields of `kind`; looked at once a statement."""
    if (kind, sql) in _checked:
        return
    columns = tuple(column[0] for column in description)
    if columns != kind._fields:
        raise TypeError(f"{kind.__name__} has the fields {kind._fields}, not {columns}")
    _checked.add((kind, sql))
