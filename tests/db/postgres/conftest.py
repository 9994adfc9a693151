"""A database of a test's own on a server that runs."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver import db
from jobserver.db import Connection
from tests.postgres import Cluster


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """An initialised, empty database."""
    url = cluster.create_initialised()
    yield url
    cluster.drop(url)


@pytest.fixture
def database(url: str) -> Iterator[Connection]:
    with closing(db.connect(url)) as database:
        yield database


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that a test may stop, with an initialised database."""
    cluster = Cluster()
    try:
        yield cluster.start()
    finally:
        cluster.remove()
