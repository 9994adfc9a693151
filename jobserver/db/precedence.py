"""Who waits to write goes before the next claim.

SQLite's write lock is not fair: who waits looks for it now and then, and a worker that claims
one file after the other takes it again first, for seconds. Therefore a writer that waits holds
a shared lock (flock) on the folder of the database, and a claim begins when nobody holds one.
The kernel frees it when its holder ends, however that ends.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_S = 0.03  # that one claim gives way: SQLite lets who waits look at least so often at first
_PAUSE_S = 0.001


class Precedence:
    """That of one database, over all processes and threads; without it all are equal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let no claim begin meanwhile; others may wait at the same time."""
        descriptor = self._open()
        if descriptor is None:
            yield
            return
        try:
            _try(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def give_way(self) -> None:
        """Return when nobody waits, or after LONGEST_S."""
        descriptor = self._open()
        if descriptor is None:
            return
        try:
            end = time.monotonic() + LONGEST_S
            while not _try(descriptor, fcntl.LOCK_EX) and time.monotonic() < end:
                time.sleep(_PAUSE_S)
        finally:
            os.close(descriptor)

    def _open(self) -> int | None:
        with suppress(OSError):
            return os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return None


def _try(descriptor: int, kind: int) -> bool:
    """Return whether the lock was free: nobody waits for it here."""
    with suppress(OSError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    return False
