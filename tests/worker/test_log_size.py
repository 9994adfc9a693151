"""The write-ahead log that a long reader let grow is short again after one round."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from jobserver import db
from jobserver.db import Connection, sqlite
from jobserver.jobs.quota import SpaceLimits
from jobserver.worker.maintenance import Housekeeper
from tests.db.damage import add_job, another_process
from tests.support import settings_of

NOW = 1_000_000.0


@pytest.fixture
def database(app: Flask) -> Iterator[Connection]:
    with closing(db.connect(settings_of(app).database)) as database:
        yield database


@pytest.fixture
def housekeeper(app: Flask, database: Connection) -> Housekeeper:
    store = app.extensions["store"]
    return Housekeeper(database, store, SpaceLimits(quota=0, min_free=0), lifetime_s=60, audit_s=60)


def grow_log(database: Connection, log: Path) -> None:
    """Write three times as much as a log keeps."""
    number = 0
    while log.stat().st_size < 3 * sqlite.LOG_SIZE:
        with db.exclusive(database, "queue"):
            for _ in range(500):
                number += 1
                add_job(database, f"{number:0700}")


def test_a_log_that_grew_beside_a_long_reader_is_cut_in_a_round(
    app: Flask, database: Connection, housekeeper: Housekeeper
) -> None:
    path = settings_of(app).database
    log = Path(f"{path}-wal")
    with another_process(path, "BEGIN", "SELECT * FROM job"):
        grow_log(database, log)
        housekeeper.round(NOW, 0.0)
        assert log.stat().st_size > 3 * sqlite.LOG_SIZE  # the reader still needs it
    housekeeper.round(NOW + 60, 60.0)
    assert log.stat().st_size == sqlite.LOG_SIZE


def test_a_round_keeps_the_blocks_that_a_log_of_its_size_has(
    app: Flask, database: Connection, housekeeper: Housekeeper
) -> None:
    log = Path(f"{settings_of(app).database}-wal")
    with database.reserve.lent() as lent, db.exclusive(database, "queue"):
        lent.extend_log(0)
        add_job(database, "a")
    size = log.stat().st_size
    for n in range(3):
        housekeeper.round(NOW + 60 * n, 60.0 * n)
    assert log.stat().st_size == size
