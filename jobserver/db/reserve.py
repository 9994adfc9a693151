"""Space that is kept for removing: a reserve file beside the database.

SQLite deletes rows by appending the changed pages to its write-ahead log, and reads nothing
before it has made its `-shm` file. On a disk that is full to the last byte neither works, and
what would make space cannot be removed. `DATABASE-reserve` holds the blocks that this takes: a
removal moves them into the log, a connection that finds no `-shm` frees a few of them.

SQLite truncates or deletes its own files when it likes (a checkpoint, the last connection), so
the reserve is a file of ours. It is made whole again by the housekeeping, at a start, before an
upload, and when the log was deleted.
Source: https://sqlite.org/walformat.html
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from jobserver.db.errors import DatabaseBusy

SIZE = 4 * 1024 * 1024  # bytes; the rows of a job of 200 outputs take 1.1 MiB of the log
SMALL_DISK = 8  # at most an eighth of its disk
OPENING = 64 * 1024  # bytes; more than the first part of `-shm`
LOCK_TIMEOUT_S = 5.0


class Disk(NamedTuple):
    """Bytes that are free, and bytes that the reserve has when it is whole."""

    free: int
    reserve: int


class Reserve:
    """The reserve of one database; every process and thread may use it at the same time."""

    def __init__(self, database: Path) -> None:
        self._folder = database.parent
        self._file = Path(f"{database}-reserve")
        self._log, self._shm = Path(f"{database}-wal"), Path(f"{database}-shm")

    def is_low(self) -> bool:
        """Return whether the disk has less free space than the reserve has when it is whole."""
        disk = self._disk()
        return disk.free < disk.reserve

    def restore(self) -> bool:
        """Make it whole if as much again stays free; return whether it is whole."""
        disk = self._disk()
        if _size(self._file) >= disk.reserve:
            return True
        return disk.free > disk.reserve and self._grow(disk, disk.free - disk.reserve)

    def restore_after_close(self) -> None:
        """Take back what the log had when the last connection has deleted it."""
        if self._log.exists() or not self._file.exists():
            return
        disk = self._disk()
        if _size(self._file) < disk.reserve:
            self._grow(disk, disk.free)

    def make_way_to_open(self) -> None:
        """Free what the first connection takes, when the disk has not even that."""
        disk = self._disk()
        if disk.free < min(OPENING, disk.reserve) and _size(self._shm) < OPENING // 2:
            with suppress(OSError), self.lent() as lent:
                lent.release(OPENING)

    @contextmanager
    def lent(self) -> Iterator["Lent"]:
        """Give the blocks to one caller at a time. Raises DatabaseBusy."""
        with _opened(self._file) as descriptor:
            _lock(descriptor)
            yield Lent(descriptor, self._log, room=self._disk().reserve * 3 // 4)

    def _grow(self, disk: Disk, most: int) -> bool:
        """Add at most so many bytes; return whether it is whole. Not while it is lent."""
        with suppress(OSError), _opened(self._file) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = min(disk.reserve, os.fstat(descriptor).st_size + most)
            os.posix_fallocate(descriptor, 0, size)
            return size == disk.reserve
        return False

    def _disk(self) -> Disk:
        """Nothing is kept on a disk that does not say its size."""
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return Disk(0, 0)
        return Disk(
            disk.f_bavail * disk.f_frsize, min(SIZE, disk.f_blocks * disk.f_frsize // SMALL_DISK)
        )


class _NoReserve(Reserve):
    """Of a database whose disk is not ours."""

    def __init__(self) -> None:
        pass

    def is_low(self) -> bool:
        """Return False: its server sees to its disk."""
        return False

    def restore(self) -> bool:
        """Return True: there is nothing to restore."""
        return True

    def restore_after_close(self) -> None:
        """Do nothing."""


NO_RESERVE = _NoReserve()


class Lent(NamedTuple):
    """The blocks of a reserve, held by one caller. room: bytes that one removal may take."""

    descriptor: int
    log: Path
    room: int

    def release(self, size: int) -> bool:
        """Give so many bytes back to the disk; return whether there were any."""
        had = os.fstat(self.descriptor).st_size
        os.ftruncate(self.descriptor, max(0, had - size))
        return had > 0

    def log_size(self) -> int:
        """Return the bytes of the write-ahead log."""
        return _size(self.log)

    def extend_log(self, used: int) -> None:
        """Let the log have `room` bytes beyond the `used` ones, from our blocks.

        The caller has the write lock, so nobody else appends. What a log holds beyond its last
        transaction is passed over.
        """
        with suppress(OSError), _opened(self.log, os.O_RDWR) as log:
            missing = used + self.room - os.fstat(log).st_size
            if missing > 0:
                self.release(missing)
                os.posix_fallocate(log, 0, used + self.room)


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    """Never of the database or its `-shm`: closing those would end SQLite's locks (fcntl(2))."""
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise DatabaseBusy from None
            time.sleep(0.01)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
