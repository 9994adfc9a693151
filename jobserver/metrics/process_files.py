"""The numbers of each process in files of its own, as prometheus-client keeps them.

A file is written through memory, so its space is taken when it is made: on a full disk a write
through memory would kill the process. It is held by a lock that dies with its process; what
processes have counted that have ended goes into one file, so that no counter ever falls.
Processes in containers may share the folder: their files have no names of processes.

The only module that knows how prometheus-client names its files and what they hold.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jobserver.modes import PRIVATE_FILE

KINDS = ("counter", "histogram", "gauge_livesum")
FILE_SIZE = 1024 * 1024  # bytes; all labels together need a third
ENDED = "ended"  # the name in place of a process's, of all that have ended
_LOCK, _ALIVE = "lock", ".alive"


class ProcessFiles:
    """The files of this process; its lock is held until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Make them; what ended processes left is added up. Raises OSError."""
        self.name = secrets.token_hex(8)
        self._lock = os.open(folder / f"{self.name}{_ALIVE}", os.O_CREAT | os.O_RDWR, PRIVATE_FILE)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            with whole(folder):
                add_up_ended(folder)
            for kind in KINDS:
                _make(_file(folder, kind, self.name))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Count as ended."""
        os.close(self._lock)


def keep_numbers_in(folder: Path, name: str) -> None:
    """Let prometheus-client keep the metrics that are made from now on in files of that name."""
    from prometheus_client import values

    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    make_class: Any = values.MultiProcessValue
    values.ValueClass = make_class(process_identifier=lambda: name)


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Let nobody else read or add up inside `with`. Raises OSError."""
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, PRIVATE_FILE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def add_up_ended(folder: Path) -> int:
    """Add what ended processes have counted to ENDED, and remove their files; return how many.

    The caller holds whole(). Raises OSError.
    """
    count = 0
    for mark in folder.glob(f"*{_ALIVE}"):
        if _is_locked(mark):
            continue
        name = mark.name.removesuffix(_ALIVE)
        for kind in KINDS:
            file = _file(folder, kind, name)
            if file.exists():
                if not kind.startswith("gauge"):  # what was in flight ended with its process
                    _add(file, _file(folder, kind, ENDED))
                file.unlink()
        mark.unlink()
        count += 1
    return count


def _file(folder: Path, kind: str, name: str) -> Path:
    return folder / f"{kind}_{name}.db"


def _make(path: Path) -> None:
    """Make a file whose space is taken. Raises OSError."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE)
        try:
            os.posix_fallocate(descriptor, 0, FILE_SIZE)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)


def _is_locked(mark: Path) -> bool:
    try:
        descriptor = os.open(mark, os.O_RDWR)
    except FileNotFoundError:
        return True  # somebody else's to remove
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _add(file: Path, to: Path) -> None:
    """Add the numbers of one file to those of another."""
    from prometheus_client import mmap_dict

    numbers: Any = mmap_dict.MmapedDict
    _make(to)
    total = numbers(str(to))
    try:
        for key, value, *_ in numbers.read_all_values_from_file(str(file)):
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
    finally:
        total.close()
