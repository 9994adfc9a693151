"""A browser, a server that renders, visitors, and a gate that can lose the connection."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from jobserver.db import connect
from jobserver.jobs.store import Order, Upload, insert_job
from tests.pages.gate import Gate
from tests.pages.visitor import Visitor, chromium
from tests.support import Server, Worker, make_clip

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share, with a worker that renders what they send."""
    server = Server(tmp_path_factory.mktemp("studio"), MAX_FILE_SIZE=str(2 * 1024 * 1024)).start()
    worker = Worker(server).start()
    yield server
    worker.stop()
    server.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Send somebody to a server's page; in the end nobody may have had a reason to complain."""
    visitors: list[Visitor] = []

    def visit(server: Server, port: int | None = None, prefix: str = "", **settings) -> Visitor:
        root = f"http://127.0.0.1:{port or server.port}{prefix}"
        visitors.append(Visitor(browser, root, **settings))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.fixture
def visitor(visit: Visit, studio: Server) -> Visitor:
    """Somebody who is signed in at the shared server."""
    return visit(studio).enter()


@pytest.fixture
def quiet_server(own_server: Server) -> Server:
    """A running server of the test's own, on which nothing is rendered."""
    return own_server.start()


@pytest.fixture
def database(quiet_server: Server) -> Iterator[sqlite3.Connection]:
    with closing(connect(quiet_server.database)) as db:
        db.execute("PRAGMA synchronous = OFF")  # hundreds of rows that no test needs tomorrow
        yield db


def add_job(db: sqlite3.Connection, number: int, now: float, videos: int = 1) -> None:
    """Queue a job without an upload; its videos are called `clip <number>.mp4` and so on."""
    uploads = [
        Upload(f"file{n:04}", f"clip {n}.mp4", f"{n}.mp4", 1000)
        for n in range(number, number + videos)
    ]
    insert_job(db, f"job{number:04}", uploads, Order(5, "subtle", 1), 0, now)


@pytest.fixture
def gate(quiet_server: Server) -> Iterator[Gate]:
    """A way to the quiet server that can be closed in the middle of an upload."""
    with ExitStack() as stack:
        yield stack.enter_context(Gate(quiet_server.port))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small videos, one with sound."""
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(folder / "hero.mp4", 1), make_clip(folder / "close-up.mp4", 1, sound=False)]


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 MiB that are declared as a video: more than sockets hold between them."""
    path = tmp_path_factory.mktemp("big") / "big.mp4"
    path.write_bytes(bytes(24 * 1024 * 1024))
    return path
