"""A database alone, or the one of a site with its folders and its housekeeper."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.db import Connection, Place, connect
from jobserver.files.local import LocalStore
from tests.jobs.house import House
from tests.support import Site


@pytest.fixture
def db(place: Place) -> Iterator[Connection]:
    """A connection that waits 0.05 s for a lock."""
    with closing(connect(place, 0.05)) as db:
        yield db


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path, output_dir: Path) -> LocalStore:
    """A store without a site; its folders belong to nobody."""
    upload_dir = tmp_path / "uploads"
    upload_dir.mkdir()
    return LocalStore(upload_dir, output_dir, 0)


@pytest.fixture
def site_db(site: Site) -> Iterator[Connection]:
    """A connection to the site's database."""
    with closing(site.connect()) as db:
        yield db


@pytest.fixture
def house(site: Site) -> House:
    return House(site)
