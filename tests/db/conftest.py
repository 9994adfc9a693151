"""A database of a test's own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import Connection, Place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test makes its database; nothing is there yet."""
    return tmp_path / "db.sqlite3"


@pytest.fixture
def database(place: Place) -> Iterator[Connection]:
    """A connection to an initialised, empty database."""
    with closing(db.connect(place)) as database:
        yield database


@pytest.fixture
def second(place: Place, database: Connection) -> Iterator[Connection]:
    """Another connection to the same database; it waits 0.05 s for a lock."""
    with closing(db.connect(place, 0.05)) as second:
        yield second
