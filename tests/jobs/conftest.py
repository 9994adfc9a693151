"""A place where jobs are rendered, workers for it, and clips that take little or long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobserver.jobs.lease import Heart
from jobserver.jobs.slot import Slot
from tests.support import Site, Worker, make_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of half a second: rendered at once."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 0.5).read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 40 s: with preset `placebo` it takes many seconds, else about one."""
    return make_clip(tmp_path_factory.mktemp("clip") / "long.mp4", 40, sound=False).read_bytes()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def slot(site: Site) -> Iterator[Slot]:
    """A slot of a worker in this process: work_once() is one claim."""
    heart = Heart(site.server.database)
    with heart.beating():
        yield Slot(site.app.config, heart, threading.Event())


@pytest.fixture
def start_worker(site: Site) -> Iterator[Callable[..., Worker]]:
    """Start worker processes on the site; those that still run are killed at the end."""
    with ExitStack() as stack:

        def start(fault: str = "", **settings: str) -> Worker:
            worker = Worker(site.server, fault, **settings).start()
            stack.callback(worker.kill)
            return worker

        yield start
