"""Celery as a doorbell: `celery -A jobserver.worker.doorbell worker -B`, in place of our worker.

A ring is a task without arguments: look for one video, and render what a claim is for. The tables
decide which, so a ring that is lost, doubled or late harms nothing. The only module that
imports celery.
"""

import logging
import queue
import sys
import threading
from contextlib import ExitStack, closing, suppress
from typing import Any

from celery import Celery, signals

from jobserver import db, metrics, render
from jobserver.db import DatabaseError
from jobserver.errors import JobserverError
from jobserver.fault_log import FaultLog
from jobserver.files.store import Store
from jobserver.folders import prepare_folders
from jobserver.jobs import ownership
from jobserver.settings import Settings
from jobserver.worker.deliveries import Deliveries
from jobserver.worker.engine import fonts_of, render_settings
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.maintenance import HOUSEKEEPING_S, House
from jobserver.worker.render_thread import RenderThread

ATTEMPT, HOUSEKEEPING = "jobserver.attempt", "jobserver.housekeeping"
RING_S = 5.0  # how often beat rings, for what was lost and for what waited after a failed attempt
SEND_S = 1.0  # how long the broker has to take one ring
WAITING_RINGS = 32  # uploads whose ring is not sent yet; beat rings for those beyond
# Source: https://docs.celeryq.dev/en/stable/userguide/calling.html and configuration.html
SENDING = {"max_retries": 0, "socket_connect_timeout": SEND_S, "socket_timeout": SEND_S}

COMMON = {"task_ignore_result": True, "task_default_queue": "jobserver"}

log = logging.getLogger(__name__)
_faults = FaultLog(log)


class Doorbell:
    """Rings from a web process: never waits, never fails; a thread of its own sends."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("jobserver", broker=broker_url, set_as_current=False)
        self._celery.conf.update(COMMON, broker_transport_options=SENDING)
        self._rings: queue.Queue[int] = queue.Queue(WAITING_RINGS)
        self._thread = threading.Thread(target=self._send, name="doorbell", daemon=True)
        self._starting, self._faults = threading.Lock(), FaultLog(log)

    def ring(self, videos: int) -> None:
        """Call as many attempts as videos were queued; their rows are committed."""
        with suppress(queue.Full, RuntimeError):  # no thread can be started
            self._rings.put_nowait(videos)
            with self._starting:  # not before: a process that forks passes no thread on
                if self._thread.ident is None:
                    self._thread.start()

    def _send(self) -> None:
        while True:
            videos = self._rings.get()
            try:
                for _ in range(videos):
                    self._celery.send_task(ATTEMPT, retry=False)
                self._faults.over("ring")
            except Exception as error:  # of any broker; beat rings later
                cause, kind = error.__cause__ or error, type(error).__name__
                self._faults.seen("ring", f"CELERY_BROKER_URL takes no ring: {cause}", kind=kind)


# -- in `celery worker` -------------------------------------------------------------------------

app = Celery("jobserver")
_here = threading.local()


class Bench:
    """What a thread that renders has: it lives, for health, as long as its process."""

    def __init__(self, settings: Settings, store: Store) -> None:
        place = settings.database_place
        self.heartbeat = Heartbeat(place)
        self.thread = RenderThread(place, store, render_settings(settings), self.heartbeat)
        faults = self.heartbeat.presence.faults
        self.house = House.of(settings, db.connect(place), store, faults)
        self.bell = Doorbell(settings.celery_broker_url or "")
        self.living = ExitStack()
        self.living.enter_context(self.heartbeat.running())
        self.living.enter_context(Deliveries(settings, faults).running())


@app.task(name=ATTEMPT)
def attempt() -> None:
    """Render what one claim is for; when there was one, ring again.

    Once more for each file of its job that waited for it.
    """
    bench = _bench()
    if bench is not None and bench.thread.work_safely():
        bench.bell.ring(1 + bench.thread.raised)


@app.task(name=HOUSEKEEPING)
def keep_house() -> None:
    """Do the housekeeping of a minute, if it is ours to do."""
    bench = _bench()
    if bench is not None:
        bench.house.round()


def _parts() -> tuple[Settings, Store]:
    from jobserver import create_app  # as wsgi.py: this module is where a process begins

    try:
        extensions = create_app().extensions
    except JobserverError as error:
        sys.exit(f"jobserver: {error}")
    return extensions["settings"], extensions["store"]


def _bench() -> Bench | None:
    """Return this thread's, or None while the database does not let it begin."""
    if not hasattr(_here, "bench"):
        try:
            _here.bench = Bench(*_parts())
        except (DatabaseError, OSError) as error:
            _faults.seen("begin", f"cannot begin: {error}")
            return None
    bench: Bench = _here.bench
    return bench


def _configuration() -> dict[str, Any]:
    settings, _ = _parts()
    beat = {
        name: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
        for name, seconds in ((ATTEMPT, RING_S), (HOUSEKEEPING, HOUSEKEEPING_S))
    }
    return {
        **COMMON,
        "broker_url": settings.celery_broker_url,
        "broker_connection_max_retries": None,  # a broker may be away for as long as it likes
        "worker_concurrency": settings.workers,
        "worker_prefetch_multiplier": 1,
        "worker_redirect_stdouts": False,
        "worker_soft_shutdown_timeout": max(0.1, settings.worker_grace),
        "beat_schedule": beat,
        "beat_scheduler": "celery.beat:Scheduler",  # keeps no file
    }


app.add_defaults(_configuration)


@signals.worker_init.connect
def _prepare(**_: object) -> None:
    """Refuse to start where `flask worker` does; before anything forks."""
    ours = logging.getLogger("jobserver")  # its lines have a handler, and are not Celery's as well
    ours.setLevel(logging.INFO)
    ours.propagate = False
    settings, store = _parts()
    if settings.celery_broker_url is None:
        sys.exit("jobserver: CELERY_BROKER_URL is not set")
    try:
        render.check(render_settings(settings))
        fonts_of(render_settings(settings))
        prepare_folders(settings)
        db.check(settings.database_place)
    except (JobserverError, render.EngineError) as error:
        sys.exit(f"jobserver: {error}")
    if settings.metrics_token is not None:
        metrics.start(settings.metrics_dir)
    store.prepare_worker()
    with closing(db.connect(settings.database_place)) as database:
        ownership.adopt_at_start(database, store)
        House.of(settings, database, store, _faults).round()  # beat has its own in a minute


@signals.worker_process_init.connect
def _begin(**_: object) -> None:
    _bench()


@signals.worker_process_shutdown.connect
def _end(**_: object) -> None:
    if hasattr(_here, "bench"):
        _here.bench.living.close()
