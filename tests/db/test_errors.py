"""Each way in which a database can fail has a class of ours, whichever call meets it."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from jobserver import db
from jobserver.db import (
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
)
from jobserver.errors import Busy, InsufficientStorage, Unavailable
from tests.db.damage import (
    PAGE_SIZE,
    add_job,
    another_process,
    make_corrupt_page,
    make_garbage,
    make_garbage_header,
    overwrite,
)
from tests.disk import fill

INSERT = "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, :variations, 0)"
LARGE = [{"id": f"{n:0500}", "variations": 5} for n in range(2000)]  # about a megabyte


def write_job(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write(INSERT, {"id": "a", "variations": 5})


def claim_job(database: Connection) -> None:
    with db.claiming(database):
        database.write(INSERT, {"id": "a", "variations": 5})


# -- busy -------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_job, claim_job])
def test_a_lock_that_is_not_free_in_time_is_busy(
    write: Callable[[Connection], None], path: Path, second: Connection
) -> None:
    with another_process(path, "BEGIN IMMEDIATE"):
        start = time.monotonic()
        with pytest.raises(DatabaseBusy) as raised:
            write(second)
        assert 0.05 <= time.monotonic() - start < 2
        assert not second.in_transaction
        assert second.column("SELECT id FROM job") == []
    write(second)
    assert str(raised.value) == "The database is busy; try again"
    assert raised.value.retry_after
    assert isinstance(raised.value, Busy)
    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)


def test_a_database_that_another_process_keeps_to_itself_is_busy(path: Path) -> None:
    db.initialise(path)
    with (
        another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"),
        pytest.raises(DatabaseBusy),
    ):
        db.connect(path, 0.05)


# -- full -----------------------------------------------------------------------------


def test_a_database_without_a_page_left_is_full_and_nothing_was_written(
    database: Connection,
) -> None:
    pages = database.value("PRAGMA page_count")
    database.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DatabaseFull) as raised, db.exclusive(database, "queue"):
        database.write_many(INSERT, LARGE)
    assert not database.in_transaction
    assert database.column("SELECT id FROM job") == []
    assert str(raised.value) == "The database's disk is full"
    assert isinstance(raised.value, InsufficientStorage)
    write_job(database)


@pytest.mark.tools
def test_a_disk_without_a_byte_left_is_full_and_nothing_was_written(small_disk: Path) -> None:
    path = small_disk / "db.sqlite3"
    db.initialise(path)
    filler = small_disk / "filler"
    with closing(db.connect(path)) as database:
        write_job(database)
        fill(filler)
        with pytest.raises(DatabaseFull), db.exclusive(database, "queue"):
            database.write_many(INSERT, LARGE)
        assert not database.in_transaction
        assert database.column("SELECT id FROM job") == ["a"]
        filler.unlink()
        with db.exclusive(database, "queue"):
            database.write_many(INSERT, LARGE)
        assert database.value("SELECT COUNT(*) FROM job") == 1 + len(LARGE)


# -- unavailable ------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_garbage, make_garbage_header, Path.mkdir])
def test_what_is_no_database_is_unavailable(make: Callable[[Path], None], path: Path) -> None:
    make(path)
    with pytest.raises(DatabaseUnavailable) as raised, closing(db.connect(path)) as database:
        database.column("SELECT id FROM job")
    assert str(raised.value) == "The database is not available"
    assert isinstance(raised.value, Unavailable)
    assert isinstance(raised.value.__cause__, sqlite3.Error)


class JobId(NamedTuple):
    id: str


def test_pages_that_are_damaged_are_met_while_rows_are_read(path: Path) -> None:
    make_corrupt_page(path)
    query = "SELECT id FROM job NOT INDEXED"
    pages = path.stat().st_size // PAGE_SIZE
    for page in range(pages * 6 // 10, pages):
        overwrite(path, page * PAGE_SIZE, b"\xff" * PAGE_SIZE)
    with closing(db.connect(path)) as database:
        assert database.value(query) is not None  # the first row is on a page that is whole
        assert database.one(JobId, query) is not None
        with pytest.raises(DatabaseUnavailable):
            database.column(query)
        with pytest.raises(DatabaseUnavailable):
            database.all(JobId, query)


def test_a_database_that_may_only_be_read_is_unavailable_to_writers(database: Connection) -> None:
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnavailable):
        write_job(database)
    assert not database.in_transaction
    assert database.column("SELECT id FROM job") == []


# -- constraints --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"), [(("a", 5), "UNIQUE"), (("b", 0), "CHECK"), (("b", None), "NOT NULL")]
)
@pytest.mark.parametrize("method", ["write", "write_many"])
def test_a_row_that_breaks_a_rule_is_refused_with_all_of_its_transaction(
    method: str, values: tuple[str, int | None], reason: str, database: Connection
) -> None:
    add_job(database, "a")
    row = dict(zip(("id", "variations"), values, strict=True))
    with pytest.raises(ConstraintViolated, match=reason):
        write_two(database, method, row)
    assert database.column("SELECT id FROM job") == ["a"]


def test_a_row_without_its_parent_is_refused(database: Connection) -> None:
    query = """
        INSERT INTO job_file (id, job_id, position, name, stored_name, size)
        VALUES ('f', 'none', 0, 'n', 's', 1)"""
    with pytest.raises(ConstraintViolated, match="FOREIGN KEY"), db.exclusive(database, "queue"):
        database.write(query)


def write_two(database: Connection, method: str, row: dict[str, object]) -> None:
    with db.exclusive(database, "queue"):
        database.write(INSERT, {"id": "first", "variations": 1})
        getattr(database, method)(INSERT, row if method == "write" else [row])


# -- bugs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "values", "error"),
    [
        ("SELECT nothing FROM job", {}, sqlite3.OperationalError),
        ("SELEKT 1", {}, sqlite3.OperationalError),
        ("SELECT :a", {}, sqlite3.ProgrammingError),
        ("SELECT :a", {"a": object()}, sqlite3.Error),
    ],
)
def test_a_statement_that_is_wrong_stays_an_error_of_the_driver(
    query: str, values: dict[str, object], error: type[Exception], database: Connection
) -> None:
    with pytest.raises(error) as raised:
        database.column(query, values)
    assert not isinstance(raised.value, db.DatabaseError)
