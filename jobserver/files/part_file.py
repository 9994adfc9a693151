"""An upload that is being received: `<id>.part`, renamed once it is whole and durable.

The file stays locked (flock) until its request is over. A sweep, in whichever process, removes
only files whose lock is free: a killed server's, never those of a living upload.
"""

import fcntl
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from jobserver.errors import InsufficientStorage
from jobserver.files.keys import stored_name
from jobserver.files.root import LocalRoot
from jobserver.ids import generate_id
from jobserver.modes import PRIVATE_FILE

PART_SUFFIX = ".part"
WRITE_BACK_SIZE = 32 * 1024 * 1024  # bytes that may wait in memory for the disk


class PartFile:
    """See store.Incoming."""

    def __init__(self, root: LocalRoot, client_name: str) -> None:
        """Create the file. Raises OSError."""
        self.id, self._file = _create(root.folder)
        self.stored_name = stored_name(self.id, client_name)
        self._root = root
        self._path = root.folder / (self.id + PART_SUFFIX)
        self._size = 0
        self._written_back = 0
        self._committed = False

    def write(self, piece: bytes) -> None:
        """Append. Raises InsufficientStorage or OSError."""
        view = memoryview(piece)
        while view:  # a write may take less than it was given
            view = view[os.write(self._file.fileno(), view) :]
        self._size += len(piece)
        if self._size - self._written_back >= WRITE_BACK_SIZE:
            self._write_back()

    def finish(self) -> None:
        """Raise InsufficientStorage unless every byte is there and enough space is left."""
        self._root.require_free(0)
        if os.fstat(self._file.fileno()).st_size != self._size:
            raise InsufficientStorage

    def commit(self) -> None:
        """Make the bytes durable and rename the file; the folder is still to be synced."""
        os.fdatasync(self._file.fileno())
        os.rename(self._path, self._root.folder / self.stored_name)
        self._committed = True

    def discard(self) -> None:
        """Release the lock; remove the file unless it was committed. Harmless twice."""
        if not self._committed:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _write_back(self) -> None:
        """Begin to write to the disk, so that the fdatasync at the end finds little left to do.

        Source: https://man7.org/linux/man-pages/man2/posix_fadvise.2.html
        """
        self._root.require_free(0)
        length = self._size - self._written_back
        os.posix_fadvise(self._file.fileno(), self._written_back, length, os.POSIX_FADV_DONTNEED)
        self._written_back = self._size


def remove_unlocked(path: Path, is_listed: Callable[[], bool]) -> bool:
    """Remove an upload that no living request holds; return whether it was. Raises OSError.

    is_listed: asked under the lock, since a request may have ended with a row meanwhile.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_listed():
                return False
            path.unlink()
    except (FileNotFoundError, BlockingIOError):  # renamed meanwhile, or a living upload
        return False
    return True


def _create(folder: Path) -> tuple[str, FileIO]:
    """Return a new id and its locked, empty file. Raises OSError."""
    while True:
        upload_id = generate_id()
        path = folder / (upload_id + PART_SUFFIX)
        file = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return upload_id, file
        except BaseException:
            path.unlink(missing_ok=True)
            file.close()
            raise
        file.close()  # a sweep removed it between creation and lock


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)
