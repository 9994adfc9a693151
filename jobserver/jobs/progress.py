"""How far a job is, in the words of the API and of the command line alike."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from jobserver.jobs.model import ENDED


class Advancing(Protocol):
    """What is read of a file; see model.File."""

    @property
    def status(self) -> str:
        """Its state."""

    @property
    def progress(self) -> float:
        """0 to 1."""

    @property
    def finished_at(self) -> float | None:
        """Unix seconds."""


def share_of(files: Sequence[Advancing]) -> float:
    """Return 0 to 1: what has ended counts whole, however it ended."""
    done = sum(1.0 if file.status in ENDED else file.progress for file in files)
    return done / max(1, len(files))


def percent(share: float, ended: bool) -> int:
    """Return 0 to 99, and 100 for what has ended: rendered is not yet published."""
    return 100 if ended else min(99, int(share * 100 + 1e-9))


def finished_at(files: Iterable[Advancing]) -> float | None:
    """Return when the last of the files that have ended did, or None before the first."""
    times = [file.finished_at for file in files if file.finished_at is not None]
    return max(times, default=None)
