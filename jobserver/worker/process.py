"""The worker process: render threads, the heartbeat, the housekeeping, until a signal."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from jobserver import render
from jobserver.db import Connection, DatabaseError, DatabaseUnusable, Place, connect, identity
from jobserver.fault_log import FaultLog
from jobserver.files.store import Store
from jobserver.jobs import ownership
from jobserver.jobs.quota import SpaceLimits
from jobserver.settings import Settings
from jobserver.worker import heartbeat
from jobserver.worker.engine import render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.maintenance import Housekeeper
from jobserver.worker.render_thread import RenderThread

HOUSEKEEPING_S = 60.0

log = logging.getLogger(__name__)


def run(settings: Settings, store: Store) -> None:
    """Render in WORKERS threads until SIGTERM or SIGINT; then finish, or give back, and return.

    Raises render.EngineError when ffmpeg cannot encode, and DatabaseUnusable when another
    database has taken the place of ours: a connection would go on with the deleted file, and
    the sweep would take what the new one holds for orphans.
    """
    engine = render_settings(settings)
    render.check(engine)
    place, stopping = settings.database_place, threading.Event()
    beat = Heartbeat(place, settings.workers)
    with _shutdown_signal() as shutdown, closing(connect(place)) as db, beat.running():
        store.prepare_worker()
        ownership.adopt_at_start(db, store)
        name = beat.presence.name
        log.info("worker %s: started, WORKERS=%d", name, settings.workers)
        workers = [RenderThread(place, store, engine, beat) for _ in range(settings.workers)]
        threads = [threading.Thread(target=each.run, args=(stopping,)) for each in workers]
        for thread in threads:
            thread.start()
        try:
            housekeeper = Housekeeper(
                db, store, SpaceLimits.of(settings), lifetime_s=settings.job_lifetime
            )
            _keep_house(db, housekeeper, place, shutdown, faults=beat.presence.faults)
        finally:
            log.info("worker %s: stopping", name)
            stopping.set()
            _finish(threads, beat, settings.worker_grace)
            log.info("worker %s: stopped", name)


@contextmanager
def _shutdown_signal() -> Iterator[socket.socket]:
    """Give a socket that is readable after SIGTERM or SIGINT, whichever thread they reached.

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
        yield reader
        signal.set_wakeup_fd(-1)


def _keep_house(
    db: Connection,
    housekeeper: Housekeeper,
    place: Place,
    shutdown: socket.socket,
    *,
    faults: FaultLog,
) -> None:
    """Do a round now and then, in the main thread, until the shutdown signal."""
    ours = identity(place)
    shutdown.settimeout(HOUSEKEEPING_S)
    while True:
        try:
            if identity(place) != ours:
                raise DatabaseUnusable("Another database has taken the place of ours")
            housekeeper.round(db.clock(), time.monotonic())
            faults.over("housekeeping")
        except DatabaseUnusable:
            raise
        except (DatabaseError, OSError) as error:  # busy, full, not mounted: next time
            cause = error.__cause__ or error
            faults.seen("housekeeping", f"housekeeping failed: {cause}", kind=_kind(error))
        with suppress(TimeoutError):
            shutdown.recv(1)
            return


def _kind(error: Exception) -> str:
    """Return what is the same of an error each time: its paths may differ."""
    return f"{type(error).__name__} {getattr(error, 'errno', '')}"


def _finish(threads: Sequence[threading.Thread], beat: Heartbeat, grace_s: float) -> None:
    """Give running renders `grace_s` to end, then stop them; their files are given back."""
    end = time.monotonic() + grace_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    while running := [thread for thread in threads if thread.is_alive()]:
        beat.cancel_all()
        running[0].join(heartbeat.HEARTBEAT_S)
