"""When a thread of a worker that empties the queue ends."""

import threading
from contextlib import closing

import pytest

from jobserver.db import claiming
from jobserver.jobs import queue
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.idling import Idling
from jobserver.worker.render_thread import RenderThread
from tests.support import Site


def test_a_thread_that_finds_nothing_waits_for_what_another_works_on(
    site: Site, render_thread: RenderThread, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other ends may let files be claimed, as the last probe of a brief does."""
    site.upload(clip)
    with closing(site.connect()) as db, claiming(db):
        claim = queue.claim(db, "another thread", 60, db.clock())
    assert claim is not None
    looked = threading.Event()

    def next_s(_: Idling) -> float:
        looked.set()
        return 0.01

    monkeypatch.setattr(Idling, "next_s", next_s)
    run = threading.Thread(
        target=render_thread.run, args=[threading.Event()], kwargs={"once": True}
    )
    with render_thread._heartbeat.renewing(HeldClaim(claim)):
        run.start()
        assert looked.wait(10)
        assert run.is_alive()
    run.join(10)
    assert not run.is_alive()
