"""Connections: durable, with typed rows, and no write without a transaction."""

from pathlib import Path
from typing import NamedTuple

import pytest

from jobserver import db
from jobserver.db import Connection, DatabaseUnavailable
from tests.db.damage import add_job

pytestmark = pytest.mark.both_databases


class Row(NamedTuple):
    id: str
    created_at: float


class Swapped(NamedTuple):
    created_at: float
    id: str


class Longer(NamedTuple):
    id: str
    created_at: float
    recipe: str


class Shorter(NamedTuple):
    id: str


QUERY = "SELECT id, created_at FROM job WHERE created_at >= :since ORDER BY id"
INSERT = "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 5, :at)"


@pytest.fixture
def two_jobs(database: Connection) -> Connection:
    """A database with the jobs `a`, of time 1.5, and `b`, of time 2."""
    with db.exclusive(database, "queue"):
        database.write_many(INSERT, [{"id": "a", "at": 1.5}, {"id": "b", "at": 2}])
    return database


# -- opening --------------------------------------------------------------------------


@pytest.mark.sqlite_only
def test_a_connection_is_durable_keeps_references_and_reads_beside_a_writer(
    database: Connection,
) -> None:
    pragmas = ("synchronous", "foreign_keys", "journal_mode", "busy_timeout")
    values = [database.value(f"PRAGMA {name}") for name in pragmas]
    assert values == [2, 1, "wal", 5000]


@pytest.mark.sqlite_only
def test_a_path_with_signs_of_a_uri_is_only_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory&b#c%41 d.sqlite3"
    db.initialise(path)
    assert path.exists()
    assert db.check(path)


@pytest.mark.sqlite_only
def test_connect_makes_no_database(path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        db.connect(path)
    assert not path.exists()


@pytest.mark.sqlite_only
def test_a_file_that_takes_the_name_of_another_has_another_identity(tmp_path: Path) -> None:
    path, other = tmp_path / "db", tmp_path / "other"
    path.touch()
    other.touch()
    before = db.file_identity(path)
    assert db.file_identity(path) == before
    other.replace(path)
    assert db.file_identity(path) != before
    path.unlink()
    with pytest.raises(FileNotFoundError):
        db.file_identity(path)


# -- typed rows -----------------------------------------------------------------------


def test_rows_come_as_the_named_tuple_that_was_asked_for(two_jobs: Connection) -> None:
    rows = two_jobs.all(Row, QUERY, {"since": 0})
    assert rows == [Row("a", 1.5), Row("b", 2.0)]
    assert {type(row) for row in rows} == {Row}
    assert two_jobs.all(Row, QUERY, {"since": 3}) == []


def test_one_is_the_first_row_or_none(two_jobs: Connection) -> None:
    assert two_jobs.one(Row, QUERY, {"since": 0}) == Row("a", 1.5)
    assert two_jobs.one(Row, QUERY, {"since": 2}) == Row("b", 2.0)
    assert two_jobs.one(Row, QUERY, {"since": 3}) is None


def test_a_value_is_the_first_of_the_first_row_or_none(two_jobs: Connection) -> None:
    assert two_jobs.value(QUERY, {"since": 0}) == "a"
    assert two_jobs.value(QUERY, {"since": 3}) is None
    assert two_jobs.value("SELECT COUNT(*) FROM job") == 2


def test_a_column_is_the_first_of_every_row(two_jobs: Connection) -> None:
    assert two_jobs.column(QUERY, {"since": 0}) == ["a", "b"]
    assert two_jobs.column(QUERY, {"since": 3}) == []


@pytest.mark.parametrize("kind", [Swapped, Longer, Shorter])
@pytest.mark.parametrize("method", ["all", "one"])
@pytest.mark.parametrize("since", [0, 3], ids=["rows", "no rows"])
def test_columns_that_are_not_the_fields_in_their_sequence_are_refused(
    kind: type[NamedTuple], method: str, since: int, two_jobs: Connection
) -> None:
    assert two_jobs.all(Row, QUERY, {"since": since}) is not None  # it fits another kind
    for _ in range(2):
        with pytest.raises(TypeError, match=f"{kind.__name__} has the fields .*not .*id"):
            getattr(two_jobs, method)(kind, QUERY, {"since": since})


def test_a_returning_clause_is_typed_as_well(two_jobs: Connection) -> None:
    update = "UPDATE job SET created_at = 9 WHERE id = 'a' RETURNING "
    with db.claiming(two_jobs):
        assert two_jobs.one(Row, update + "id, created_at") == Row("a", 9.0)
    with pytest.raises(TypeError), db.claiming(two_jobs):
        two_jobs.one(Row, "UPDATE job SET created_at = 7 WHERE id = 'a' RETURNING id")
    assert two_jobs.value("SELECT created_at FROM job WHERE id = 'a'") == 9


# -- writing --------------------------------------------------------------------------


def test_a_write_without_a_transaction_is_refused(database: Connection) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        database.write(INSERT, {"id": "a", "at": 1})
    with pytest.raises(RuntimeError, match="transaction"):
        database.write_many(INSERT, [{"id": "a", "at": 1}])
    assert database.column("SELECT id FROM job") == []


def test_a_write_after_a_transaction_is_refused_again(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write(INSERT, {"id": "a", "at": 1})
    with pytest.raises(RuntimeError):
        database.write("DELETE FROM job")
    assert database.column("SELECT id FROM job") == ["a"]


def test_a_write_returns_how_many_rows_it_changed(two_jobs: Connection) -> None:
    with db.exclusive(two_jobs, "queue"):
        assert two_jobs.write("UPDATE job SET seed = 1") == 2
        assert two_jobs.write("UPDATE job SET seed = 2 WHERE id = 'b'") == 1
        assert two_jobs.write("DELETE FROM job WHERE id = 'none'") == 0


def test_writing_no_rows_is_harmless(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write_many(INSERT, [])
    assert database.column("SELECT id FROM job") == []


def test_a_reader_beside_a_writer_sees_what_was_committed(
    database: Connection, second: Connection
) -> None:
    with db.exclusive(database, "queue"):
        add_job(database, "a")
        assert second.column("SELECT id FROM job") == []
    assert second.column("SELECT id FROM job") == ["a"]
