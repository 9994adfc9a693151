"""An upload that comes in several requests, in a folder: `<id>.part` until it is whole.

What was acknowledged is synced, and what lies behind it is cut off by the next request. Two that
append at the same time never mix: under the lock of the file (flock) each first asks whether it
still may.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jobserver.errors import Busy, InsufficientStorage, UploadGone
from jobserver.files import durability
from jobserver.files.root import LocalRoot
from jobserver.files.store import Hold, Partial
from jobserver.modes import PRIVATE_FILE

PART_SUFFIX = ".part"
LOCK_ATTEMPTS, LOCK_PAUSE_S = 500, 0.01  # who holds the lock writes one piece


class ResumableParts:
    """See store.Resumable."""

    def __init__(self, root: LocalRoot) -> None:
        self._root = root

    def extend(self, upload: Partial, hold: Hold) -> "ExtendedPart":
        """Open the file, or create it. Raises UploadGone, UploadTakenOver or OSError."""
        return ExtendedPart(self._root, upload, hold)

    def complete(self, upload: Partial) -> None:
        """Rename the file, if that is to be done. Raises UploadGone or OSError."""
        path = self._root.folder / upload.stored_name
        with suppress(FileNotFoundError):  # somebody has done it
            os.rename(self._root.folder / (upload.id + PART_SUFFIX), path)
        if not path.exists():
            raise UploadGone
        durability.sync_folder(self._root.folder)

    def replaced(self, before: Partial, after: Partial) -> None:
        """Nothing: it is the same file."""

    def discard(self, upload: Partial) -> None:
        """Remove the file under either name. Raises OSError."""
        for name in (upload.id + PART_SUFFIX, upload.stored_name):
            (self._root.folder / name).unlink(missing_ok=True)


class ExtendedPart:
    """See store.Extending."""

    def __init__(self, root: LocalRoot, upload: Partial, hold: Hold) -> None:
        self._root, self._upload, self._hold = root, upload, hold
        self._size = upload.received
        self._descriptor = self._open()
        try:
            self._cut()
        except BaseException:
            self.close()
            raise

    def write(self, piece: bytes) -> None:
        """Append. Raises UploadTakenOver, InsufficientStorage or OSError."""
        view = memoryview(piece)
        with self._locked():
            while view:  # a write may take less than it was given
                written = os.pwrite(self._descriptor, view, self._size)
                self._size += written
                view = view[written:]

    def sync(self, *, last: bool) -> Partial:
        """Sync the file, and the folder when it is new. Raises InsufficientStorage or OSError."""
        del last
        self._root.require_free(0)
        if os.fstat(self._descriptor).st_size < self._size:
            raise InsufficientStorage
        os.fdatasync(self._descriptor)
        if not self._upload.received:
            durability.sync_folder(self._root.folder)
        self._upload = self._upload._replace(received=self._size)
        return self._upload

    def close(self) -> None:
        """Close the file. Harmless twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> int:
        path = self._root.folder / (self._upload.id + PART_SUFFIX)
        create = 0 if self._upload.received else os.O_CREAT
        try:
            return os.open(path, os.O_RDWR | create, PRIVATE_FILE)
        except FileNotFoundError:
            self._hold.require()
            raise UploadGone from None

    def _cut(self) -> None:
        """Remove what was written and never acknowledged."""
        with self._locked():
            if os.fstat(self._descriptor).st_size < self._size:
                raise UploadGone
            os.ftruncate(self._descriptor, self._size)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock while this request may append. Raises UploadTakenOver or Busy."""
        for _ in range(LOCK_ATTEMPTS):
            with suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(LOCK_PAUSE_S)
        else:
            raise Busy("The file of this upload is in use; try again")
        try:
            self._hold.require()
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
