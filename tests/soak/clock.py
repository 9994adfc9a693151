"""A clock that the soak moves: seconds in the file that SOAK_CLOCK names are added to the time."""

import os
import time
from pathlib import Path

_real = time.time
_file = Path(os.environ["SOAK_CLOCK"])


def _moved() -> float:
    return _real() + float(_file.read_text() or 0)


def move() -> None:
    """Let this process live by it."""
    time.time = _moved
