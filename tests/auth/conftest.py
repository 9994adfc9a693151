"""A database alone."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver.db import Connection, Place, connect


@pytest.fixture
def db(place: Place) -> Iterator[Connection]:
    """A connection to a database of its own."""
    with closing(connect(place)) as db:
        yield db
