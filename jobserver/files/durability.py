"""What it takes for files and names to survive a power cut.

A name is durable once its folder is synced, which is not implied by syncing the file.
Source: https://man7.org/linux/man-pages/man2/fsync.2.html
"""

import os
from pathlib import Path


def make_durable(path: Path) -> None:
    """Return once the bytes of a file are on disk. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return once what was created and renamed in a folder is on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
