"""The sessions of one process to one server: a pool that its threads share.

A thread borrows a session for one statement, or for one transaction, so that a request that
waits for its client holds none. Of several threads that want to write alone one waits at the
server and the others here, so that the pool is left to those who read.

psycopg_pool has threads of its own, and a session belongs to the process that opened it: a
forked process begins with none, and leaves its parent's alone.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

import psycopg
from psycopg import conninfo
from psycopg.rows import TupleRow
from psycopg.types.string import StrDumperUnknown
from psycopg_pool import ConnectionPool, PoolTimeout

from jobserver.db.errors import DatabaseBusy, DatabaseUnavailable
from jobserver.db.postgres.errors import translate

MAX_SESSIONS = 8  # of one process
BORROW_S = 2.0  # how long a thread waits for a session
IDLE_IN_TRANSACTION_S = 10.0  # then the server ends a session whose process does nothing
STATEMENT_S = 60.0  # of one statement, its wait for locks included

# How soon the driver notices that the server is gone; whatever the URL says of these is used.
DEFAULTS: dict[str, Any] = {
    "application_name": "jobserver",
    "client_encoding": "utf8",
    "connect_timeout": 3,  # seconds
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 2,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
# How soon the server notices that we are gone. Durable before a 202, whatever the role says.
_CONFIGURE = f"""
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
    SET statement_timeout = '{int(STATEMENT_S)}s';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'"""
# A statement that a session runs for the sixth time is planned no more: planning a poll takes
# three quarters of its CPU. Source: https://www.psycopg.org/psycopg3/docs/advanced/prepare.html
PREPARE_AFTER = 5

# The pool warns at each attempt while a server is away; callers log that once.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

Session = psycopg.Connection[TupleRow]
T = TypeVar("T")


class Text(StrDumperUnknown):
    """Text as PostgreSQL takes it: it has no NUL, so U+FFFD stands for one."""

    def dump(self, obj: str) -> Any:
        """Return the bytes of a value."""
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class _Session(psycopg.Connection[TupleRow]):
    """A session that remembers, for all of its address, why the last one was not opened."""

    failures: dict[str, psycopg.Error] = {}  # noqa: RUF012  of the class

    @classmethod
    def connect(cls, conninfo: str = "", **named: Any) -> "_Session":
        try:
            session = super().connect(conninfo, **named)
        except psycopg.Error as error:
            cls.failures[conninfo] = error
            raise
        cls.failures.pop(conninfo, None)
        return session


class User(Protocol):
    """What shares the sessions of its process."""

    def inherit_nothing(self) -> object:
        """Forget, in a forked process, what is its parent's; return that."""


class Sessions:
    """What a process has open to the server of one URL. users: connections that share it."""

    def __init__(self, url: str) -> None:
        self.users: WeakSet[User] = WeakSet()
        self.writer = threading.Lock()  # held by the thread that writes alone, or waits for that
        self._address = address(url)
        self._pool: ConnectionPool[_Session] = ConnectionPool(
            self._address,
            connection_class=_Session,
            kwargs={"autocommit": True, "prepare_threshold": None},
            configure=_configure,
            min_size=0,
            max_size=MAX_SESSIONS,
            max_idle=300.0,
            reconnect_timeout=BORROW_S,
            open=True,
            name="jobserver",
        )

    def run(self, action: Callable[[Session], T], wait_s: float = BORROW_S) -> T:
        """Do what is harmless when repeated, with a session of its own."""
        session, result = self.borrow(action, wait_s)
        self.give_back(session)
        return result

    def borrow(self, action: Callable[[Session], T], wait_s: float = BORROW_S) -> tuple[Session, T]:
        """Give a session on which `action` went well, and what it returned.

        wait_s: how long others may keep all of them. A session whose server went away since it
        was used last is replaced, all of them if need be. Raises DatabaseBusy,
        DatabaseUnavailable ...
        """
        for _ in range(MAX_SESSIONS + 1):
            session = self._get(wait_s)
            try:
                return session, action(session)
            except psycopg.Error as error:
                if not session.closed:
                    self.give_back(session)
                    raise translate(error) from error
                self.give_back(session)
                failure = error
            except BaseException:
                self.give_back(session)
                raise
        raise DatabaseUnavailable from failure

    def give_back(self, session: Session) -> None:
        """Take a session back without what it may have begun; a broken one is thrown away."""
        try:
            session.rollback()
        except psycopg.Error:
            session.close()
        self._pool.putconn(session)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close what nobody uses any more."""
        self._pool.close(timeout=1.0)

    def _get(self, wait_s: float) -> Session:
        try:
            return self._pool.getconn(wait_s)
        except PoolTimeout as error:
            failure = _Session.failures.get(self._address)
            if failure is not None:
                raise DatabaseUnavailable from failure
            raise DatabaseBusy from error


def address(url: str) -> str:
    """Return the URL as the driver's words, with DEFAULTS. Raises psycopg.ProgrammingError."""
    return conninfo.make_conninfo(**{**DEFAULTS, **conninfo.conninfo_to_dict(url)})


def _configure(session: _Session) -> None:
    session.adapters.register_dumper(str, Text)
    session.execute(_CONFIGURE)
    session.prepare_threshold = PREPARE_AFTER if _is_direct(session) else None


def _is_direct(session: _Session) -> bool:
    """Return whether the session is the server's own, not one that a pooler hands on.

    PgBouncer may give each transaction to another session, where nothing is prepared. It names
    a process of its own making when a session begins.
    """
    found = session.execute("SELECT pg_backend_pid()").fetchone()
    return found is not None and found[0] == session.info.backend_pid


# -- one a process and URL -----------------------------------------------------------------

_open: dict[str, Sessions] = {}
_opening = threading.Lock()
_parents: list[object] = []  # kept, so that nothing ends them in the wrong process


def share(url: str, user: User) -> Sessions:
    """Return the sessions of this process to `url`; they last as long as one of their users."""
    with _opening:
        sessions = _open.get(url)
        if sessions is None:
            sessions = _open[url] = Sessions(url)
        sessions.users.add(user)
    close_unused()
    return sessions


def close_unused() -> None:
    """Close the sessions that nobody shares any more."""
    with _opening:
        unused = [url for url, sessions in _open.items() if not sessions.users]
        closing = [_open.pop(url) for url in unused]
    for sessions in closing:
        sessions.close()


def _begin_with_none() -> None:
    global _open, _opening
    _parents.append(_open)
    for inherited in _open.values():
        _parents.extend([user.inherit_nothing() for user in inherited.users])
    _open, _opening = {}, threading.Lock()


@atexit.register
def _close_all() -> None:
    for sessions in _open.values():
        sessions.close()


os.register_at_fork(after_in_child=_begin_with_none)
