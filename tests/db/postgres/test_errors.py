"""What PostgreSQL says has a class of ours, whichever call meets it."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from jobserver import db
from jobserver.db import (
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
)
from jobserver.db.postgres.connection import ALONE
from tests.disk import fill, mounted
from tests.postgres import Cluster

pytestmark = pytest.mark.tools


def raising(code: str) -> str:
    """A statement that the server fails with this SQLSTATE."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'of a test' USING ERRCODE = '{code}'; END $$"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("53100", DatabaseFull),
        *((code, DatabaseBusy) for code in ("55P03", "57014", "40001", "40P01")),
        *(
            (code, DatabaseUnavailable)
            for code in ("08006", "57P01", "57P03", "53300", "58030", "XX001", "25006", "25P03")
        ),
        *((code, ConstraintViolated) for code in ("23505", "23514", "23503")),
    ],
)
@pytest.mark.parametrize("alone", [None, True, False])
def test_each_state_has_a_class(
    alone: bool | None, code: str, error: type[Exception], database: Connection
) -> None:
    if alone is not None:
        database.begin(alone=alone)
    with pytest.raises(error) as raised:
        database.execute(raising(code))
    assert isinstance(raised.value.__cause__, psycopg.Error)
    database.rollback()
    assert database.value("SELECT 1") == 1


@pytest.mark.parametrize("query", ["SELECT nothing FROM job", "SELEKT 1", "SELECT :a"])
def test_a_statement_that_is_wrong_stays_an_error_of_the_driver(
    query: str, database: Connection
) -> None:
    with pytest.raises(psycopg.Error) as raised:
        database.column(query)
    assert not isinstance(raised.value, DatabaseError)


def test_a_transaction_that_goes_on_after_an_error_writes_nothing_and_says_so(
    database: Connection,
) -> None:
    """The server answers such a COMMIT with ROLLBACK, and no error."""
    insert = "INSERT INTO job (id, variations_per_video, created_at) VALUES ('a', :n, 0)"

    def swallow() -> None:
        with db.exclusive(database, "queue"):
            database.write(insert, {"n": 5})
            with pytest.raises(ConstraintViolated):
                database.write(insert, {"n": 0})

    with pytest.raises(DatabaseError, match="nothing was written"):
        swallow()
    assert not database.in_transaction
    assert database.column("SELECT id FROM job") == []


@pytest.fixture
def small_disk(cluster: Cluster) -> Iterator[Path]:
    """A disk of 40 MiB that is the server's."""
    owner = cluster.folder.stat().st_uid
    with mounted(cluster.folder / "disk", 40, owner=owner) as folder:
        yield folder


def test_a_full_disk_is_full_and_nothing_was_written(
    cluster: Cluster, url: str, small_disk: Path
) -> None:
    """The tables are moved to a disk that is then filled."""
    space = f"small_{os.getpid()}"
    cluster.execute(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'")
    name = url.rpartition("/")[2]
    try:
        cluster.execute(f"ALTER DATABASE {name} SET TABLESPACE {space}")
        fill(small_disk / "filler")
        insert = "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 1, 0)"
        rows = [{"id": f"{n:0500}"} for n in range(2000)]
        with closing(db.connect(url)) as database:
            with pytest.raises(DatabaseFull), db.exclusive(database, "queue"):
                database.write_many(insert, rows)
            assert database.column("SELECT id FROM job") == []
            (small_disk / "filler").unlink()
            with db.exclusive(database, "queue"):
                database.write_many(insert, rows)
            assert database.value("SELECT COUNT(*) FROM job") == len(rows)
    finally:
        cluster.execute(f"ALTER DATABASE {name} SET TABLESPACE pg_default")
        cluster.execute(f"DROP TABLESPACE {space}")


def test_a_lock_that_is_not_free_in_time_is_busy(url: str, database: Connection) -> None:
    with closing(db.connect(url, 0.2)) as second, db.exclusive(database, "queue"):
        start = time.monotonic()
        with pytest.raises(DatabaseBusy), db.exclusive(second, "sign-in"):
            pass
        assert 0.2 <= time.monotonic() - start < 2
        assert not second.in_transaction
        assert second.value("SELECT COUNT(*) FROM job") == 0


def test_a_lock_that_another_process_holds_is_busy(cluster: Cluster, url: str) -> None:
    with (
        closing(psycopg.connect(url)) as other,
        closing(db.connect(url, 0.2)) as database,
    ):
        other.execute(f"SELECT pg_advisory_xact_lock({ALONE})".encode())
        start = time.monotonic()
        with pytest.raises(DatabaseBusy), db.exclusive(database, "queue"):
            pass
        assert 0.2 <= time.monotonic() - start < 2
        with db.claiming(database):  # needs no lock but that of its rows
            assert database.value("SELECT 1") == 1
        other.rollback()
        with db.exclusive(database, "queue"):
            assert database.value("SELECT 1") == 1
