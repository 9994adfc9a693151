"""Fixtures: a fixture is a noun. Servers are real; the app alone serves what needs no socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from jobserver import create_app, db
from tests.support import PASSWORD, Server


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An app with its own, initialised database, without a server around it."""
    app = create_app(
        {
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "key for tests",
            "DATABASE": tmp_path / "db.sqlite3",
            "UPLOAD_DIR": tmp_path / "uploads",
            "OUTPUT_DIR": tmp_path / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )
    db.initialise(app.config["DATABASE"])
    return app


@pytest.fixture
def token(app: Flask) -> str:
    return app.test_client().post("/api/auth", json={"password": PASSWORD}).json["token"]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), MAX_FILE_SIZE=str(8 * 1024 * 1024)).start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The running server that tests share; descriptors and folders are checked after each."""
    with shared_server.same_descriptors():
        yield shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of one's own, not started: change `settings`, then start()."""
    server = Server(tmp_path)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()
