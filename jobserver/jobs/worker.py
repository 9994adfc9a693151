"""`flask --app wsgi worker`: slots that render, and the housekeeping, until told to stop."""

import logging
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import click

from jobserver import render
from jobserver.db import DatabaseError, check, connect, file_identity, last_seen
from jobserver.jobs import expiry, lease
from jobserver.jobs.lease import Heart
from jobserver.jobs.slot import Slot, render_settings

HOUSEKEEPING_S = 60.0
GRACE_S = 10.0  # after SIGTERM, for what is nearly done

log = logging.getLogger(__name__)


def run(config: Mapping[str, Any]) -> None:
    """Work in WORKERS slots until SIGTERM or SIGINT; then finish, or give back, and return.

    Raises DatabaseError when another database has taken the place of ours: what was connected
    before would go on with the deleted file, and take what the new one holds for orphans.
    """
    stopping = threading.Event()
    heart = Heart(config["DATABASE"])
    with (
        _told_to_stop() as told,
        closing(connect(config["DATABASE"])) as db,
        heart.beating(),
    ):
        expiry.claim_folders(db, expiry.Storage.of(config))
        slots = [Slot(config, heart, stopping) for _ in range(config["WORKERS"])]
        threads = [threading.Thread(target=slot.run) for slot in slots]
        for thread in threads:
            thread.start()
        try:
            _keep_house(db, config, told)
        finally:
            stopping.set()
            _finish(threads, heart)


@contextmanager
def _told_to_stop() -> Iterator[socket.socket]:
    """Give a socket that is readable after SIGTERM or SIGINT, whichever thread they reached.

    A lock would not do: waiting for one, the main thread may not notice a signal that the
    kernel gave to another, and a handler that takes one may interrupt who holds it.
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


def _keep_house(db: sqlite3.Connection, config: Mapping[str, Any], told: socket.socket) -> None:
    """Expire, evict and sweep now and then, in the main thread, until told to stop."""
    storage = expiry.Storage.of(config)
    clock = expiry.Clock(last_seen(db), time.time(), time.monotonic())
    housekeeper = expiry.Housekeeper(db, storage, clock)
    database = file_identity(config["DATABASE"])
    told.settimeout(HOUSEKEEPING_S)
    while True:
        try:
            if file_identity(config["DATABASE"]) != database:
                raise DatabaseError("Another database has taken the place of ours")
            housekeeper.round(time.time(), time.monotonic())
        except (sqlite3.Error, OSError) as error:  # busy, full, not mounted: next time
            log.warning("housekeeping failed: %s", error)
        with suppress(TimeoutError):
            told.recv(1)
            return


def _finish(threads: Sequence[threading.Thread], heart: Heart) -> None:
    """Give running renders GRACE_S to end, then stop them; their files are given back."""
    end = time.monotonic() + GRACE_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    while running := [thread for thread in threads if thread.is_alive()]:
        heart.cancel_all()
        running[0].join(lease.HEARTBEAT_S)


def command(config: Mapping[str, Any]) -> click.Command:
    """Return `flask worker` for an app with these settings."""

    @click.command("worker")
    def worker() -> None:
        """Render queued files until told to stop."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        try:
            check(config["DATABASE"])
            render.check(render_settings(config))
            run(config)
        except DatabaseError as error:
            raise click.ClickException(str(error)) from error
        except render.EngineError as error:
            names = "FFMPEG, ENCODER, ENCODER_PRESET or ENCODER_RATE"
            raise click.ClickException(f"{names} cannot be used: {error}") from error

    return worker
