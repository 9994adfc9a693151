"""Transactions: all or nothing, one writer at a time."""

import sqlite3
import threading
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import get_args

import pytest

from jobserver import db
from jobserver.db import (
    CommitUnknown,
    Connection,
    DatabaseBusy,
    DatabaseUnavailable,
    Lock,
    Place,
)
from jobserver.db.sqlite import SqliteConnection
from jobserver.errors import OutcomeUnknown
from tests.db.damage import add_job, another_process, job_ids
from tests.support import together, wait_for

pytestmark = pytest.mark.both_databases

WAYS = [*get_args(Lock), "claiming", "removing"]


def begin(database: Connection, way: str) -> AbstractContextManager[None]:
    if way == "claiming":
        return db.claiming(database)
    if way == "removing":
        return db.removing(database, "queue")
    return db.exclusive(database, way)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_what_was_written_is_there_at_the_end(
    way: str, database: Connection, second: Connection
) -> None:
    with begin(database, way):
        add_job(database, "a")
        assert database.in_transaction
    assert not database.in_transaction
    assert second.column("SELECT id FROM job") == ["a"]


def test_a_transaction_that_reads_first_cannot_be_overtaken_by_a_writer(
    place: Place, database: Connection, second: Connection
) -> None:
    with db.exclusive(database, "queue"):
        assert database.value("SELECT COUNT(*) FROM job") == 0
        with pytest.raises(DatabaseBusy), db.exclusive(second, "sign-in"):
            add_job(second, "second")
        if isinstance(place, Path):  # elsewhere a claim needs no lock but that of its rows
            with pytest.raises(DatabaseBusy):
                add_job(second, "second")
            with pytest.raises(DatabaseBusy), db.claiming(second):
                add_job(second, "second")
        add_job(database, "first")
    with db.exclusive(second, "sign-in"):
        add_job(second, "second")
    assert job_ids(place) == ["first", "second"]


def add_and_raise(database: Connection, error: type[BaseException]) -> None:
    with db.exclusive(database, "queue"):
        add_job(database, "undone")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_raises_leaves_nothing_and_lets_others_write(
    error: type[BaseException], place: Place, database: Connection, second: Connection
) -> None:
    with pytest.raises(error):
        add_and_raise(database, error)
    assert not database.in_transaction
    with db.exclusive(second, "queue"):
        add_job(second, "second")
    assert job_ids(place) == ["second"]


def test_a_transaction_inside_another_is_an_error_and_leaves_nothing(
    place: Place, database: Connection
) -> None:
    with pytest.raises((sqlite3.OperationalError, RuntimeError), match="within a transaction"):
        nest(database)
    assert not database.in_transaction
    assert job_ids(place) == []


def nest(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        add_job(database, "undone")
        with db.claiming(database):
            add_job(database, "inner")


@pytest.mark.sqlite_only
def test_a_transaction_that_its_body_has_ended_is_not_ended_twice(
    path: Path, database: Connection
) -> None:
    """SQLite itself rolls back, e.g. when a disk is full in the middle."""
    with suppress(InterruptedError), db.exclusive(database, "queue"):
        add_job(database, "undone")
        database.execute("ROLLBACK")
        raise InterruptedError
    assert job_ids(path) == []


@pytest.mark.sqlite_only
def test_a_transaction_waits_for_one_that_ends_in_time(path: Path, database: Connection) -> None:
    begun = threading.Event()

    def write() -> None:
        with closing(db.connect(path)) as own:
            begun.set()
            with db.exclusive(own, "queue"):
                add_job(own, "waited")

    thread = threading.Thread(target=write)
    with another_process(path, "BEGIN IMMEDIATE"):
        thread.start()
        wait_for(begun.is_set)
        assert job_ids(path) == []
    thread.join()
    assert job_ids(path) == ["waited"]


def count_up(place: Place) -> int:
    """Add 1 to a number 50 times, each time to what was read before."""
    with closing(db.connect(place, 30)) as own:
        for _ in range(50):
            with db.exclusive(own, "quota"):
                seed = own.value("SELECT seed FROM job")
                own.write("UPDATE job SET seed = :seed", {"seed": seed + 1})
    return 50


def test_what_is_read_in_a_transaction_is_not_changed_by_another_process(
    place: Place, database: Connection
) -> None:
    add_job(database, "a")
    assert together(3, count_up, place) == [50] * 3
    assert database.value("SELECT seed FROM job") == 150


@pytest.mark.sqlite_only
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("failure", "raised"), [(DatabaseUnavailable, CommitUnknown), (DatabaseBusy, DatabaseBusy)]
)
def test_a_commit_that_fails_on_the_disk_may_have_happened(
    way: str,
    database: Connection,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[Exception],
    raised: type[Exception],
) -> None:
    execute = database.execute

    def fail_to_commit(sql: str, *values: object) -> object:
        if sql == "COMMIT":
            raise failure
        return execute(sql, *values)

    class Failing(SqliteConnection):
        execute = staticmethod(fail_to_commit)

    monkeypatch.setattr(database, "__class__", Failing)
    with pytest.raises(raised) as found, begin(database, way):
        add_job(database, "a")
    assert isinstance(found.value, OutcomeUnknown) == (raised is CommitUnknown)
    assert not database.in_transaction
