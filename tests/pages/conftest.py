"""Chromium, servers with and without a worker, visitors, and a relay that can go offline."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from jobserver.db import Connection, connect
from jobserver.jobs import standing
from tests.pages.relay import Relay
from tests.pages.rows import add_job
from tests.pages.visitor import Visitor, chromium
from tests.support import MP4_HEAD, Server, Worker, make_clip

NewVisitor = Callable[..., Visitor]

JOB_COUNT = 500
ACTIVE_JOB = "job0499"  # the newest

# Chromium without a window shows no notifications; this records what is requested and shown.
FAKE_NOTIFICATION = """
    window.permissionRequests = 0;
    window.notifications = [];
    window.Notification = class {
        static permission = "default";
        static requestPermission() {
            window.permissionRequests += 1;
            this.permission = "granted";
            return Promise.resolve("granted");
        }
        constructor(title, { body }) { window.notifications.push(body); }
        close() {}
    };
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def rendering_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a worker that renders what is uploaded; tests share it."""
    folder = tmp_path_factory.mktemp("rendering_server")
    server = Server(folder, MAX_FILE_SIZE=str(2 * 1024 * 1024)).start()
    worker = Worker(server).start()
    yield server
    worker.stop()
    server.stop()


@pytest.fixture
def new_visitor(browser: Browser) -> Iterator[NewVisitor]:
    """Opens a browser tab for a server; no tab may have had an error in the end."""
    visitors: list[Visitor] = []

    def new_visitor(
        server: Server, port: int | None = None, prefix: str = "", **settings
    ) -> Visitor:
        root = f"http://127.0.0.1:{port or server.port}{prefix}"
        visitors.append(Visitor(browser, root, **settings))
        return visitors[-1]

    yield new_visitor
    for visitor in visitors:
        visitor.close()
    assert [error for visitor in visitors for error in visitor.page_errors] == []


@pytest.fixture
def visitor(new_visitor: NewVisitor, rendering_server: Server) -> Visitor:
    """A visitor who is signed in at the shared server."""
    return new_visitor(rendering_server).open_signed_in()


@pytest.fixture
def idle_server(own_server: Server) -> Server:
    """A running server for one test, without a worker."""
    return own_server.start()


@pytest.fixture
def database(idle_server: Server) -> Iterator[Connection]:
    with closing(connect(idle_server.database)) as db:
        db.execute("PRAGMA synchronous = OFF")  # hundreds of rows that need not be durable
        yield db


@pytest.fixture
def many_jobs(database: Connection) -> None:
    """500 jobs; the newest is processing, the others are completed."""
    now = time.time()
    for number in range(JOB_COUNT):
        add_job(database, number, now - 2 * (JOB_COUNT - number))
    database.execute(
        """UPDATE job_file SET status = 'completed', finished_at = :now, progress = 1
           WHERE job_id != :active""",
        {"now": now, "active": ACTIVE_JOB},
    )
    database.execute(
        """UPDATE job_file SET status = 'processing', lease_until = :later, started_at = :now
           WHERE job_id = :active""",
        {"later": now + 3600, "now": now, "active": ACTIVE_JOB},
    )
    standing.mend(database)


@pytest.fixture
def list_visitor(idle_server: Server, many_jobs: None, new_visitor: NewVisitor) -> Visitor:
    """A visitor at the list of 500 jobs, with a clock that only the test moves."""
    visitor = new_visitor(idle_server, permissions=["notifications"])
    visitor.page.add_init_script(FAKE_NOTIFICATION)
    visitor.page.clock.install()
    visitor.open_signed_in()
    expect(visitor.page.locator("#jobs > li")).to_have_count(50)
    expect(visitor.page.locator("#storage")).to_be_visible()  # the last of the first requests
    visitor.page.clock.pause_at(time.time() + 2)
    visitor.wait_for_responses()
    return visitor


@pytest.fixture
def relay(idle_server: Server) -> Iterator[Relay]:
    """A relay to the idle server."""
    with ExitStack() as stack:
        yield stack.enter_context(Relay(idle_server.port))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small videos, one with sound."""
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(folder / "hero.mp4", 1), make_clip(folder / "close-up.mp4", 1, sound=False)]


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 MiB that begin as a video: more than the sockets' buffers hold."""
    path = tmp_path_factory.mktemp("big") / "big.mp4"
    path.write_bytes(MP4_HEAD.ljust(24 * 1024 * 1024, b"\0"))
    return path
