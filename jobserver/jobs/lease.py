"""What a worker holds while it renders: a claim, and the heart that keeps its lease."""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.db import connect
from jobserver.jobs import store

LEASE_S = 30.0
HEARTBEAT_S = 1.0

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Claim:
    """A file that is ours until `cancel` is set: by a lost lease, a cancelled job, or a stop."""

    file: sqlite3.Row
    cancel: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    progress: float = 0.0


class Heart:
    """Renews the leases of all slots; one thread with its own connection."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._claims: set[Claim] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew leases inside `with`."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    @contextmanager
    def keeping(self, claim: Claim) -> Iterator[None]:
        """Keep this claim's lease inside `with`."""
        self._claims.add(claim)
        try:
            yield
        finally:
            self._claims.discard(claim)

    def cancel_all(self) -> None:
        """Ask every slot to stop at once."""
        for claim in list(self._claims):
            claim.cancel.set()

    def _run(self) -> None:
        with closing(connect(self._database)) as db:
            while not self._stopped.wait(HEARTBEAT_S):
                for claim in list(self._claims):
                    self._beat(db, claim)

    def _beat(self, db: sqlite3.Connection, claim: Claim) -> None:
        try:
            kept = store.renew(db, claim.file, claim.progress, LEASE_S, time.time())
        except sqlite3.Error as error:  # busy or full; if the lease ends, the token still decides
            log.warning("cannot renew the lease of %s: %s", claim.file["id"], error)
            return
        if not kept:
            claim.lost = True
            claim.cancel.set()
