"""Moving all rows of a SQLite database into an empty PostgreSQL of the same version.

Tables and columns are read from the databases, so what a later version adds is moved as well.
First the source gives up its version for a note where it goes, so that no server starts on it any
more. Until all rows are there, and were read back and compared, the target has no version either.
They come in one transaction, the version among them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from itertools import islice
from typing import Any

from jobserver.db import meta
from jobserver.db.connection import Connection
from jobserver.db.engine import connect, initialise, label, refuse_unreachable
from jobserver.db.errors import DatabaseUnusable
from jobserver.db.migrations import VERSION, latest_version, stated_version
from jobserver.db.transaction import claiming, exclusive

BATCH = 1000  # rows that are held in memory
# What says who lives, what the triggers of the target count themselves, and uploads that no job has
# yet: they begin anew.
_NOT_MOVED = frozenset({"worker", "queue_length", "upload"})
_VERSION_BEFORE = "version_before_move"


# -- the target ----------------------------------------------------------------------------


def open_target(url: str, source: Connection) -> Connection:
    """Open a database and make it ready for the copy, unless an earlier run has done so.

    Raises DatabaseUnusable when it has any other content, or the source is not of our version.
    """
    stated = stated_version(source)
    version = stated if stated.isdecimal() else meta.read(source, _VERSION_BEFORE)
    if version != str(latest_version()):
        sentence = f"The database has version {version}, not {latest_version()}"
        raise DatabaseUnusable(f"{sentence}; run `flask --app wsgi init-db`")
    refuse_unreachable(url)
    db, source_id = connect(url), meta.database_id(source)
    try:
        is_ours = stated_version(db) == _unfinished(source_id) or is_finished(source, db)
        if not is_ours:
            _begin(db, url, source_id)
    except BaseException:
        db.close()
        raise
    return db


def is_finished(source: Connection, target: Connection) -> bool:
    """Return whether all rows of the source are in the target, which may be served from."""
    is_current = stated_version(target) == str(latest_version())
    is_same = is_current and meta.database_id(target) == meta.database_id(source)
    return is_same and not stated_version(source).isdecimal()


def _begin(db: Connection, url: str, source_id: str) -> None:
    not_empty = f"The database {label(url)} has content of its own; nothing was copied"
    if not stated_version(db).isdecimal() or not _is_empty(db):
        raise DatabaseUnusable(not_empty)
    initialise(url)
    with exclusive(db, "schema"):
        if not _is_empty(db):
            raise DatabaseUnusable(not_empty)
        db.write("CREATE TABLE copied_file (key TEXT PRIMARY KEY, sha256 TEXT NOT NULL)")
        _state(db, VERSION, _unfinished(source_id))


def copied_files(target: Connection) -> dict[str, str]:
    """Return the files that were copied and compared, by their keys: the SHA-256 of each."""
    return dict(map(tuple, target.execute("SELECT key, sha256 FROM copied_file").fetchall()))


def note_copied_file(target: Connection, key: str, sha256: str) -> None:
    """Note that a file is in the new store, and the same there."""
    query = """
        INSERT INTO copied_file (key, sha256) VALUES (:key, :sha256)
        ON CONFLICT (key) DO UPDATE SET sha256 = :sha256"""
    with claiming(target):
        target.write(query, {"key": key, "sha256": sha256})


def copy_rows(source: Connection, target: Connection) -> int:
    """Copy all rows, read them back, and end the copying; return how many they are.

    The source is out of use. All or nothing. Raises DatabaseUnusable when the tables differ, or
    what was read back does.
    """
    count = 0
    with exclusive(target, "schema"):
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            target.execute(f"SET LOCAL {name} = 0")  # a large table takes its time
        if not _is_empty(target):
            raise DatabaseUnusable("Rows came into the target meanwhile; nothing was copied")
        target.write("DELETE FROM meta")
        for table in _tables(source):
            count += _copy_table(source, target, table)
        _state(target, VERSION, meta.read(source, _VERSION_BEFORE))
        target.write("DELETE FROM meta WHERE name = :name", {"name": _VERSION_BEFORE})
        _continue_numbers(target)
        target.write("DROP TABLE copied_file")
    return count


def _unfinished(source_id: str) -> str:
    return f"copy of {source_id}, not finished"


def _is_empty(db: Connection) -> bool:
    """Return whether it is as `init-db` makes it, or even without tables."""
    made = {"meta", "queue_length", "copied_file"}
    tables = sorted(set(db.column(db.tables)) - made)
    return not any(db.value(f"SELECT EXISTS (SELECT 1 FROM {table})") for table in tables)  # noqa: S608


# -- the source ----------------------------------------------------------------------------


def put_out_of_use(source: Connection, target_url: str) -> None:
    """Let no server start on the source any more. Harmless when repeated."""
    with exclusive(source, "schema"):
        if stated_version(source).isdecimal():
            _state(source, _VERSION_BEFORE, stated_version(source))
        _state(source, VERSION, f"moved to {label(target_url)}")


def put_into_use(source: Connection) -> None:
    """Undo put_out_of_use(). Raises DatabaseUnusable when there is nothing to undo."""
    with exclusive(source, "schema"):
        if stated_version(source).isdecimal():
            raise DatabaseUnusable("The database was not moved")
        _state(source, VERSION, meta.read(source, _VERSION_BEFORE))
        source.write("DELETE FROM meta WHERE name = :name", {"name": _VERSION_BEFORE})


def _state(db: Connection, name: str, value: str) -> None:
    query = """
        INSERT INTO meta (name, value) VALUES (:name, :value)
        ON CONFLICT (name) DO UPDATE SET value = :value"""
    db.write(query, {"name": name, "value": value})


# -- rows ----------------------------------------------------------------------------------


def _tables(source: Connection) -> list[str]:
    """Return the tables to copy, each behind those that its rows refer to."""
    names = source.column("SELECT name FROM sqlite_master WHERE type = 'table'")
    moved = {name for name in names if not name.startswith("sqlite_")} - _NOT_MOVED
    query = 'SELECT "table" FROM pragma_foreign_key_list(:name)'
    parents = {name: source.column(query, {"name": name}) for name in sorted(moved)}
    return list(TopologicalSorter(parents).static_order())


def _copy_table(source: Connection, target: Connection, table: str) -> int:
    columns = sorted(source.column("SELECT name FROM pragma_table_info(:name)", {"name": table}))
    if columns != sorted(_columns(target, table)):
        raise DatabaseUnusable(f"The tables {table} of the two databases differ")
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    insert = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({values})"  # noqa: S608
    sent, count = _Digest(), 0
    rows = iter(source.execute(f"SELECT {names} FROM {table}").fetchone, None)  # noqa: S608
    for batch in _batches(rows):
        sent.add(batch)
        count += len(batch)
        target.write_many(insert, [dict(zip(columns, row, strict=True)) for row in batch])
    stored = _Digest()
    with _reading(target, f"SELECT {names} FROM {table}") as batches:  # noqa: S608
        for batch in batches:
            stored.add(batch)
    if stored.sum != sent.sum:
        raise DatabaseUnusable(f"Rows of {table} came back different; nothing was copied")
    return count


class _Digest:
    """The SHA-256 of each row added up, so their sequence does not matter.

    Text is compared as PostgreSQL takes it: U+FFFD stands for a NUL.
    """

    def __init__(self) -> None:
        self.sum = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count these rows in."""
        for row in rows:
            plain = [
                each.replace("\0", "\ufffd") if isinstance(each, str) else each for each in row
            ]
            self.sum += int.from_bytes(hashlib.sha256(repr(plain).encode()).digest(), "big")


@contextmanager
def _reading(target: Connection, query: str) -> Iterator[Iterator[list[Any]]]:
    """Give the rows of a query in batches, without holding all of them."""
    target.execute(f"DECLARE copied NO SCROLL CURSOR FOR {query}")
    yield iter(lambda: target.execute(f"FETCH {BATCH} FROM copied").fetchall(), [])
    target.execute("CLOSE copied")


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    return iter(lambda: list(islice(rows, BATCH)), [])


def _columns(target: Connection, table: str) -> list[Any]:
    query = """
        SELECT column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = :name"""
    return target.column(query, {"name": table})


def _continue_numbers(target: Connection) -> None:
    """Let numbers that the target gives itself go on behind those that were copied."""
    query = """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND is_identity = 'YES'"""
    for table, column in target.execute(query).fetchall():
        sequence = f"pg_get_serial_sequence('{table}', '{column}')"
        following = f"(SELECT COALESCE(MAX({column}), 0) + 1 FROM {table})"  # noqa: S608
        target.execute(f"SELECT setval({sequence}, {following}, false)")
