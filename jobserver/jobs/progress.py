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

    @property
    def weight(self) -> float | None:
        """Of its progress; None: as all others."""


def share_of(files: Sequence[Advancing]) -> float:
    """Return 0 to 1: what has ended counts whole, however it ended. files: of every role.

    With a brief a file weighs as many seconds as are encoded of it; all weigh nothing until
    the worker knows what they are, and nothing is encoded before.
    """
    weights = [1.0 if file.weight is None else file.weight for file in files]
    shares = [1.0 if file.status in ENDED else file.progress for file in files]
    if not any(weights):
        return float(min(shares, default=0.0) == 1.0)
    return sum(weight * share for weight, share in zip(weights, shares, strict=True)) / sum(weights)


def percent(share: float, ended: bool) -> int:
    """Return 0 to 99, and 100 for what has ended: rendered is not yet published."""
    return 100 if ended else min(99, int(share * 100 + 1e-9))


def finished_at(files: Iterable[Advancing]) -> float | None:
    """Return when the last of the files that have ended did, or None before the first."""
    times = [file.finished_at for file in files if file.finished_at is not None]
    return max(times, default=None)
