"""An upload that is another name of one that is there: its bytes are durable and stored once.

Each name goes by itself. The shared lock (flock) belongs to the file, so while a request makes
a new name of it no sweep removes any of its names.
"""

import errno
import fcntl
import os
import shutil
from pathlib import Path

from jobserver.files.durability import make_durable
from jobserver.files.keys import stored_name
from jobserver.files.root import LocalRoot
from jobserver.ids import generate_id
from jobserver.modes import PRIVATE_FILE

# No hard links there, or no more of this file.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class LinkedFile:
    """See store.Incoming."""

    def __init__(self, root: LocalRoot, source: Path) -> None:
        """Hold the file. Raises FileNotFoundError or OSError."""
        self.id = generate_id()
        self.stored_name = stored_name(self.id, source.name)
        self._source, self._path = source, root.folder / self.stored_name
        self._held = [source.open("rb", buffering=0)]
        fcntl.flock(self._held[0], fcntl.LOCK_SH)

    def write(self, piece: bytes) -> None:
        """Refuse: its bytes are those of the other one."""
        raise NotImplementedError

    def finish(self) -> None:
        """Nothing is missing."""

    def commit(self) -> None:
        """Give the file its new name. Raises FileNotFoundError or OSError."""
        try:
            os.link(self._source, self._path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy()

    def discard(self) -> None:
        """Release the lock. Harmless twice."""
        for file in self._held:
            file.close()

    def _copy(self) -> None:
        """Copy the bytes, where the file system has no second name for them."""
        copied = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        file = open(copied, "wb", buffering=0)  # noqa: SIM115  held until the request is over
        self._held.append(file)
        fcntl.flock(file, fcntl.LOCK_EX)
        shutil.copyfileobj(self._held[0], file)
        make_durable(self._path)
