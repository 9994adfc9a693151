"""The worker process: render threads, the heartbeat, the housekeeping, until a signal."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from jobserver import render
from jobserver.db import connect
from jobserver.errors import WorkLeft
from jobserver.files.store import Store
from jobserver.jobs import ownership
from jobserver.settings import Settings
from jobserver.worker import heartbeat
from jobserver.worker.deliveries import Deliveries
from jobserver.worker.engine import fonts_of, render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.maintenance import House
from jobserver.worker.render_thread import RenderThread

_ENDED = b"\0"  # no signal has this number

log = logging.getLogger(__name__)


def run(settings: Settings, store: Store, *, once: bool = False) -> None:
    """Render in WORKERS threads until SIGTERM or SIGINT; then finish, or give back, and return.

    once: return as well when there is nothing that may be claimed; raises WorkLeft when something
    may, but cannot. Raises render.EngineError when ffmpeg or FONTS_DIR cannot be used, and
    DatabaseUnusable when another database has taken the place of ours: a connection would go on
    with the deleted file, and the sweep would take what the new one holds for orphans.
    """
    engine = render_settings(settings)
    render.check(engine)
    fonts_of(engine)
    place, stopping = settings.database_place, threading.Event()
    beat = Heartbeat(place, settings.workers)
    deliveries = Deliveries(settings, beat.presence.faults)
    with (
        _shutdown_signal() as (shutdown, ended),
        closing(connect(place)) as db,
        beat.running(),
        deliveries.running(),
    ):
        store.prepare_worker()
        ownership.adopt_at_start(db, store)
        name = beat.presence.name
        log.info("worker %s: started, WORKERS=%d", name, settings.workers)
        workers = [RenderThread(place, store, engine, beat) for _ in range(settings.workers)]
        threads = [
            threading.Thread(target=_work, args=(each, stopping, ended), kwargs={"once": once})
            for each in workers
        ]
        for thread in threads:
            thread.start()
        try:
            house = House.of(settings, db, store, beat.presence.faults)
            if once:
                house.round()
                done = _wait_for_all(threads, shutdown)
                if done:
                    drained = deliveries.drain(lambda: ended.send(_ENDED))
                    _wait_for_all([drained], shutdown)
            else:
                house.keep(shutdown)
        finally:
            log.info("worker %s: stopping", name)
            stopping.set()
            _finish(threads, beat, settings.worker_grace)
            log.info("worker %s: stopped", name)
        if once and done and (beat.presence.waits_for or any(each.failed for each in workers)):
            raise WorkLeft


def _work(
    thread: RenderThread, stopping: threading.Event, ended: socket.socket, *, once: bool
) -> None:
    try:
        thread.run(stopping, once=once)
    finally:
        ended.send(_ENDED)


def _wait_for_all(threads: Sequence[threading.Thread], shutdown: socket.socket) -> bool:
    """Wait until every thread has ended; return False at once at the shutdown signal."""
    shutdown.settimeout(None)
    return all(shutdown.recv(1) == _ENDED for _ in threads)


@contextmanager
def _shutdown_signal() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give a socket that is readable after SIGTERM or SIGINT, whichever thread they reached.

    It says the signal's number. What is written to the second socket is read there as well.

    A lock would not do: waiting for one, the main thread may not notice a signal that the
    kernel gave to another, and a handler that takes one may interrupt the thread that holds it.
    Source: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        yield reader, writer
        signal.set_wakeup_fd(-1)


def _finish(threads: Sequence[threading.Thread], beat: Heartbeat, grace_s: float) -> None:
    """Give running renders `grace_s` to end, then stop them; their files are given back."""
    end = time.monotonic() + grace_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    while running := [thread for thread in threads if thread.is_alive()]:
        beat.cancel_all()
        running[0].join(heartbeat.HEARTBEAT_S)
