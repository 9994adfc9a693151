"""One of a worker's WORKERS threads: claim, attempt, again."""

import logging
import os
import socket
import threading
import time
from functools import cached_property
from pathlib import Path

from jobserver import render
from jobserver.db import Connection, DatabaseError, claiming, connect
from jobserver.files.store import Store
from jobserver.jobs import queue
from jobserver.worker import heartbeat
from jobserver.worker.attempt import Attempt
from jobserver.worker.engine import made_with
from jobserver.worker.group import GroupRenderer
from jobserver.worker.heartbeat import Heartbeat, HeldClaim

IDLE_S = 0.5
LOCK_TIMEOUT_S = 30.0  # a finished render is worth a longer wait for the database than a request

log = logging.getLogger(__name__)


class RenderThread:
    """Renders one claim after the other; `work_once` returns whether it found any."""

    def __init__(
        self, database: Path, store: Store, settings: render.Settings, beat: Heartbeat
    ) -> None:
        self._database, self._store, self._settings = database, store, settings
        self._heartbeat = beat
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._made_with = made_with(settings)

    @cached_property
    def _db(self) -> Connection:
        """Made by the thread that works: sqlite3 lets no other use it."""
        return connect(self._database, LOCK_TIMEOUT_S)

    @cached_property
    def _attempt(self) -> Attempt:
        renderer = GroupRenderer(self._db, self._store, self._settings, self._made_with)
        return Attempt(self._db, self._store, renderer)

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; a bug costs a file an attempt, not the thread."""
        while not stopping.is_set():
            try:
                found = self.work_once()
            except DatabaseError as error:  # busy or full: nothing was claimed
                log.warning("cannot claim: %s", error)
                found = False
            except Exception:
                log.exception("the render thread goes on after an error")
                found = False
            if not found:
                stopping.wait(IDLE_S)
        self._db.close()

    def work_once(self) -> bool:
        """Claim the next file, render its next variations and publish them."""
        db = self._db
        if not queue.has_claimable(db, heartbeat.LEASE_S, time.time()):
            return False
        with claiming(db):
            claim = queue.claim(db, self._name, heartbeat.LEASE_S, time.time())
        if claim is None:
            return False
        held = HeldClaim(claim, progress=claim.progress)
        with self._heartbeat.renewing(held):
            self._attempt.run(held)
        return True
