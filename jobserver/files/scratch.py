"""Files of this machine for objects that lie elsewhere: copies of sources, folders of claims.

SCRATCH_DIR/run.<random>/            one process's, locked (flock) while it lives
SCRATCH_DIR/run.<random>/copies/     whole copies; the least recently used go first
SCRATCH_DIR/run.<random>/claims/     what is being rendered
"""

import fcntl
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jobserver.errors import FetchCancelled
from jobserver.modes import PRIVATE_FOLDER

PIECE_SIZE = 1024 * 1024
_RUN = "run."


@dataclass
class _Copy:
    """A copy, or the wish for one. size: bytes, None until it is whole. users: who read it now."""

    size: int | None = None
    users: int = 0
    fetching: threading.Lock = field(default_factory=threading.Lock)


class Scratch:
    """What one process keeps on its own disk; threads share it.

    bound: bytes of copies that are kept; one that is in use stays however large it is.
    """

    def __init__(self, folder: Path, bound: int) -> None:
        self._folder, self._bound = folder, bound
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._made: Path | None = None
        self._copies: OrderedDict[str, _Copy] = OrderedDict()

    def wipe(self) -> None:
        """Remove what processes left that live no more. Raises OSError."""
        self._folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        for folder in self._folder.glob(f"{_RUN}*"):
            _remove_unlocked(folder)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Give an empty folder; it is removed with what is in it. Raises OSError."""
        folder = self._run / "claims" / name
        folder.mkdir(PRIVATE_FOLDER, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def copy(
        self,
        name: str,
        open_object: Callable[[], BinaryIO],
        cancel: threading.Event | None = None,
    ) -> Iterator[Path]:
        """Give a whole copy of what `open_object` opens; who comes meanwhile waits for it.

        Raises what opening and reading raise, OSError, or FetchCancelled between two pieces.
        """
        path = self._run / "copies" / name
        with self._lock:
            copy = self._copies.setdefault(name, _Copy())
            self._copies.move_to_end(name)
            copy.users += 1
        try:
            with copy.fetching:
                if copy.size is None:
                    copy.size = self._fetch(path, open_object, cancel or threading.Event())
            yield path
        finally:
            with self._lock:
                copy.users -= 1
                if copy.size is None and not copy.users:
                    del self._copies[name]
            self._make_room(0)

    def copies(self) -> list[str]:
        """Return the names of the whole copies, those used last first."""
        with self._lock:
            return [name for name, copy in reversed(self._copies.items()) if copy.size is not None]

    def _fetch(
        self, path: Path, open_object: Callable[[], BinaryIO], cancel: threading.Event
    ) -> int:
        """Copy to a name beside it first: what has the final name is whole."""
        path.parent.mkdir(PRIVATE_FOLDER, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        try:
            with open_object() as source, part.open("xb") as file:
                size = source.seek(0, os.SEEK_END)
                self._make_room(size)
                source.seek(0)
                while piece := source.read(PIECE_SIZE):
                    if cancel.is_set():
                        raise FetchCancelled
                    file.write(piece)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        return size

    def _make_room(self, size: int) -> None:
        """Remove copies that nobody reads, those read longest ago first, until `size` fits."""
        with self._lock:
            kept = sum(copy.size or 0 for copy in self._copies.values())
            for name, copy in list(self._copies.items()):
                if kept + size <= self._bound:
                    return
                if copy.size is not None and not copy.users:
                    (self._run / "copies" / name).unlink(missing_ok=True)
                    kept -= copy.size
                    del self._copies[name]

    @property
    def _run(self) -> Path:
        """The folder of this process, made when it is first needed."""
        with self._making:
            if self._made is None:
                self._made = _make_locked(self._folder)
        return self._made


def _make_locked(parent: Path) -> Path:
    """Make a folder that stays locked until this process ends."""
    while True:
        folder = parent / f"{_RUN}{secrets.token_hex(8)}"
        folder.mkdir(PRIVATE_FOLDER, parents=True)
        with suppress(FileNotFoundError):  # wiped before it was locked
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder
            os.close(descriptor)


def _remove_unlocked(folder: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        except BlockingIOError:  # of a process that lives
            return
        finally:
            os.close(descriptor)
