"""A connection as the rest of jobserver sees it: SQL and values as for SQLite, rows as tuples.

It holds a session of the process only inside a transaction.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import psycopg

from jobserver.db.connection import LOCK_TIMEOUT_S, Connection
from jobserver.db.errors import CommitUnknown, DatabaseBusy, DatabaseError
from jobserver.db.postgres import sessions
from jobserver.db.postgres.errors import translate
from jobserver.db.postgres.sessions import BORROW_S, IDLE_IN_TRANSACTION_S, Session, Sessions
from jobserver.db.reserve import NO_RESERVE

# The one lock of who writes alone; any number that nothing else in this database uses.
ALONE = 7_308_324_466_019_758_444

_NAMED = re.compile(r"'[^']*'|::|:([A-Za-z_]\w*)|%")


class Fetched(NamedTuple):
    """What a statement gave, all of it: it needs its session no more."""

    description: Any
    rowcount: int
    rows: Iterator[Any]

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(self.rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self.rows)


class PostgresConnection(Connection):
    """One a thread; it lasts whatever happens to the server."""

    reserve = NO_RESERVE
    tables = """
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"""

    def __init__(self, url: str, lock_timeout_s: float) -> None:
        self._url, self._lock_timeout_s = url, lock_timeout_s
        self._shared: Sessions | None = sessions.share(url, self)
        self._session: Session | None = None  # while a transaction is open
        self._wait_s = BORROW_S
        self._alone = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._session is not None

    def execute(self, sql: str, values: Any = ()) -> Fetched:
        """Run one statement; several when there are no values."""
        return self._run(lambda session: _execute(session, sql, values))

    def executemany(self, sql: str, values: Iterable[Any]) -> Fetched:
        """Run one statement for each of `values`."""
        rows = list(values)
        return self._run(lambda session: _execute_many(session, sql, rows))

    def begin(self, *, alone: bool) -> None:
        """Begin; alone: with the general lock, as SQLite's one writer. Raises DatabaseBusy.

        The locks of rows are waited for as long as the general one.
        Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
        """
        if self._session is not None:
            raise RuntimeError("cannot start a transaction within a transaction")
        if alone and not self._sessions().writer.acquire(timeout=self._lock_timeout_s):
            raise DatabaseBusy
        self._alone = alone
        try:
            begin = partial(_begin, lock_timeout_s=self._lock_timeout_s, alone=alone)
            self._session, _ = self._sessions().borrow(begin)
        except BaseException:
            self._end()
            raise

    def commit(self) -> None:
        """Make what was written durable. Raises CommitUnknown when no answer came."""
        assert self._session is not None  # noqa: S101  begun by the caller
        _commit(self._session)
        self._end()

    def rollback(self) -> None:
        """Undo what was written; the server does that for a session that is broken."""
        if self._session is not None:
            self._end()

    def skip_locked(self, table: str) -> str:
        """Return SQL that ends a SELECT of one row of `table`, so that no two choose the same."""
        return f"FOR UPDATE OF {table} SKIP LOCKED"

    def close(self) -> None:
        """Undo what is open; the sessions of the process end with their last user."""
        self.rollback()
        if self._shared is not None:
            self._shared.users.discard(self)
            self._shared = None
        sessions.close_unused()

    def clock(self) -> float:
        """Return the server's time, also inside a transaction."""
        time: float = self.value("SELECT CAST(extract(epoch FROM clock_timestamp()) AS FLOAT8)")
        return time

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let reads wait no longer for a session."""
        self._wait_s = seconds
        try:
            yield
        finally:
            self._wait_s = BORROW_S

    def set_lock_timeout(self, seconds: float) -> None:
        """Let writes from now on wait so long for another."""
        self._lock_timeout_s = seconds

    def _end(self) -> None:
        """Give back what a transaction held."""
        session, self._session = self._session, None
        if session is not None:
            self._sessions().give_back(session)
        if self._alone:
            self._alone = False
            self._sessions().writer.release()

    def _run(self, action: Any) -> Fetched:
        if self._session is None:
            fetched: Fetched = self._sessions().run(action, self._wait_s)
            return fetched
        try:
            fetched = action(self._session)
        except psycopg.Error as error:
            raise translate(error) from error
        return fetched

    def inherit_nothing(self) -> object:
        """Forget, in a forked process, what is its parent's; return that."""
        held, self._shared, self._session, self._alone = self._session, None, None, False
        return held

    def _sessions(self) -> Sessions:
        if self._shared is None:
            self._shared = sessions.share(self._url, self)
        return self._shared


def connect(url: str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> PostgresConnection:
    """Return a connection; the server is asked at its first use."""
    return PostgresConnection(url, lock_timeout_s)


def _begin(session: Session, *, lock_timeout_s: float, alone: bool) -> None:
    lock = f"; SELECT pg_advisory_xact_lock({ALONE})" if alone else ""
    session.execute(
        f"BEGIN; SET LOCAL lock_timeout = {max(1, int(lock_timeout_s * 1000))};"
        f" SET LOCAL idle_in_transaction_session_timeout = {int(IDLE_IN_TRANSACTION_S * 1000)}"
        f"{lock}".encode()
    )


def _commit(session: Session) -> None:
    try:
        done = session.execute("COMMIT").statusmessage
    except psycopg.Error as error:
        if session.closed:
            raise CommitUnknown from error
        raise translate(error) from error
    if done != "COMMIT":  # the server undoes what had an error in it, and says no more
        raise DatabaseError("A statement had failed; nothing was written")


def _execute(session: Session, sql: str, values: Any) -> Fetched:
    cursor = session.execute(_named(sql), values) if values else session.execute(sql.encode())
    rows = cursor.fetchall() if cursor.description is not None else []
    return Fetched(cursor.description, cursor.rowcount, iter(rows))


def _execute_many(session: Session, sql: str, rows: list[Any]) -> Fetched:
    with session.cursor() as cursor:
        cursor.executemany(_named(sql), rows)
        return Fetched(None, cursor.rowcount, iter(()))


@cache
def _named(sql: str) -> bytes:
    """Write `:name` as the driver does, and `%` as text."""

    def written(found: re.Match[str]) -> str:
        if found[1]:
            return f"%({found[1]})s"
        return found[0].replace("%", "%%")

    return _NAMED.sub(written, sql).encode()
