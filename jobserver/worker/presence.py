"""What a worker process says about itself: a row that others see, and faults in its log."""

import logging
import os
import socket
import time

from jobserver.db import Connection, DatabaseError, claiming
from jobserver.fault_log import FaultLog
from jobserver.ids import generate_id
from jobserver.jobs import workers
from jobserver.jobs.workers import WaitsFor, Worker

log = logging.getLogger(__name__)


class Presence:
    """One a process. waits_for: why it claims nothing, or None; the next beat writes it."""

    def __init__(self, threads: int) -> None:
        """threads: files that it renders at once."""
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.waits_for: WaitsFor | None = None
        self.faults = FaultLog(log)
        self._id, self._threads, self._started_at = generate_id(), threads, time.time()
        self._due_at = time.monotonic()

    def beat(self, db: Connection) -> None:
        """Say that the process lives, if that is due; what fails is due again at once."""
        now = time.monotonic()
        if now < self._due_at:
            return
        try:
            with claiming(db):
                workers.renew(db, self._row(), db.clock())
        except DatabaseError as error:  # others take this worker for dead if it lasts
            self.faults.seen("row", f"cannot say that this worker lives: {error}")
            return
        self.faults.over("row")
        self._due_at = now + workers.BEAT_S

    def leave(self, db: Connection) -> None:
        """Say that the process stops."""
        try:
            with claiming(db):
                workers.leave(db, self._id)
        except DatabaseError as error:  # then its row gets old
            log.warning("cannot say that this worker stops: %s", error)

    def _row(self) -> Worker:
        return Worker(
            id=self._id,
            name=self.name,
            threads=self._threads,
            started_at=self._started_at,
            waits_for=self.waits_for,
        )
