"""What a worker holds while it renders: a claim, whose lease the heartbeat renews.

The heartbeat also says that the worker lives (presence.py).
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from jobserver.db import Connection, DatabaseError, Place, claiming, connect, many_hosts
from jobserver.jobs import queue
from jobserver.jobs.model import Claim
from jobserver.worker.presence import Presence

LEASE_S = 30.0
HEARTBEAT_S = 1.0  # how soon a render is stopped whose claim is lost; see also many_hosts()
HEARTBEAT_ON_MANY_HOSTS_S = 5.0  # each is a commit of the server that all of them share


@dataclass(eq=False)
class HeldClaim:
    """A claim that is ours until `cancel` is set: the lease was lost, the job cancelled, or the

    worker is stopping. lost: another claim may have the file. progress: 0 to 1, of the file.
    raised: files of its job that its end lets others claim.
    """

    claim: Claim
    cancel: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    progress: float = 0.0
    raised: int = 0


class Heartbeat:
    """Renews the leases of all render threads; one thread with its own connection."""

    def __init__(self, database: Place, threads: int = 1) -> None:
        """threads: how many render threads there are."""
        self.presence = Presence(threads)
        self._database = database
        self._held: set[HeldClaim] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Renew leases, and say that this worker lives, inside `with`."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    @contextmanager
    def renewing(self, held: HeldClaim) -> Iterator[None]:
        """Renew this claim's lease inside `with`."""
        self._held.add(held)
        try:
            yield
        finally:
            self._held.discard(held)

    @property
    def is_busy(self) -> bool:
        """Whether any render thread holds a claim."""
        return bool(self._held)

    def cancel_all(self) -> None:
        """Ask every render thread to stop at once."""
        for held in list(self._held):
            held.cancel.set()

    def _run(self) -> None:
        every_s = HEARTBEAT_ON_MANY_HOSTS_S if many_hosts(self._database) else HEARTBEAT_S
        with closing(connect(self._database)) as db:
            self.presence.beat(db)
            while not self._stopped.wait(every_s):
                for held in list(self._held):
                    self._renew(db, held)
                self.presence.beat(db)
            self.presence.leave(db)

    def _renew(self, db: Connection, held: HeldClaim) -> None:
        try:
            with claiming(db):
                kept = queue.renew(db, held.claim, held.progress, lease_s=LEASE_S, now=db.clock())
        except DatabaseError as error:  # busy or full; if the lease ends, the token still decides
            self.presence.faults.seen("lease", f"cannot renew a lease: {error}")
            return
        self.presence.faults.over("lease")
        if not kept:
            held.lost = True
            held.cancel.set()
