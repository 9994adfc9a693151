"""Fixtures: a fixture is a noun. Servers are real; the app alone serves what needs no socket."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask

from jobserver import create_app, db
from jobserver.db import Place
from jobserver.folders import prepare_folders
from jobserver.worker.engine import render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.render_thread import RenderThread
from tests.bucket import Gateway
from tests.disk import mounted
from tests.nginx import Nginx
from tests.postgres import Cluster
from tests.support import PASSWORD, Server, Site, Worker, make_clip, settings_of

os.environ["LOG_FORMAT"] = "plain"  # also of processes that tests start: lines as on a terminal


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests marked `both_databases` over each engine."""
    test = metafunc.definition
    if "engine" not in metafunc.fixturenames or test.get_closest_marker("sqlite_only"):
        return
    if test.get_closest_marker("both_databases"):
        engines = ["sqlite", pytest.param("postgres", marks=pytest.mark.tools)]
        metafunc.parametrize("engine", engines, indirect=True)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The database of a test: sqlite, or postgres."""
    return getattr(request, "param", "sqlite")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that runs."""
    cluster = Cluster()
    try:
        yield cluster.start()
    finally:
        cluster.remove()


@pytest.fixture(scope="session")
def new_url(engine: str, request: pytest.FixtureRequest) -> Callable[[], dict[str, str]]:
    """Make an initialised database where `engine` is a server; return the setting that names it."""
    if engine == "sqlite":
        return dict
    cluster: Cluster = request.getfixturevalue("cluster")
    return lambda: {"DATABASE_URL": cluster.create_initialised()}


@pytest.fixture
def database_url(
    new_url: Callable[[], dict[str, str]], request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """The setting that names a test's own database, where `engine` is a server."""
    made = new_url()
    cluster = request.getfixturevalue("cluster") if made else None
    yield made
    for url in made.values():
        cluster.drop(url)


@pytest.fixture
def place(tmp_path: Path, database_url: dict[str, str]) -> Place:
    """An initialised, empty database."""
    made = database_url.get("DATABASE_URL") or tmp_path / "db.sqlite3"
    db.initialise(made)
    return made


@pytest.fixture
def app(tmp_path: Path, database_url: dict[str, str]) -> Flask:
    """An app with its own, initialised database, without a server around it."""
    app = create_app(
        {
            **database_url,
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "key for tests",
            "DATABASE": tmp_path / "db.sqlite3",
            "UPLOAD_DIR": tmp_path / "uploads",
            "OUTPUT_DIR": tmp_path / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )
    settings = settings_of(app)
    prepare_folders(settings)
    db.initialise(settings.database_place)
    return app


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind nginx; nothing in it depends on the address when there is none."""
    server = Server(tmp_path_factory.mktemp("gunicorn"), TRUSTED_PROXIES="1").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nginx(gunicorn: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), gunicorn.port)
    yield nginx.start()
    nginx.stop()


@pytest.fixture
def proxied(gunicorn: Server, nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, asked through nginx."""
    assert gunicorn.token
    monkeypatch.setattr(gunicorn, "port", nginx.port)
    return gunicorn


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An S3 server that tests share, each with a prefix of its own."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway")).start()
    yield gateway
    gateway.kill()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of 4 MiB, or of as many as the test says."""
    with mounted(tmp_path / "disk", getattr(request, "param", 4)) as folder:
        yield folder


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


# -- jobs that are rendered ---------------------------------------------------


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of half a second: rendered at once."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 0.5).read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 40 s: with preset `placebo` it takes many seconds, else about one."""
    return make_clip(tmp_path_factory.mktemp("clip") / "long.mp4", 40, sound=False).read_bytes()


@pytest.fixture
def site(tmp_path: Path, database_url: dict[str, str]) -> Site:
    return Site(tmp_path, **database_url)


@pytest.fixture
def render_thread(site: Site) -> Iterator[RenderThread]:
    """A thread of a worker in this process: work_once() is one claim."""
    heartbeat = Heartbeat(site.server.place)
    with heartbeat.running():
        settings = render_settings(site.settings)
        yield RenderThread(site.server.place, site.store, settings, heartbeat)


@pytest.fixture
def start_worker(site: Site) -> Iterator[Callable[..., Worker]]:
    """Start worker processes on the site; those that still run are killed at the end."""
    with ExitStack() as stack:

        def start(fault: str = "", **settings: str) -> Worker:
            worker = Worker(site.server, fault, **settings).start()
            stack.callback(worker.kill)
            return worker

        yield start
