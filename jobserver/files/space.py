"""What a disk still takes: bytes and, where they are counted, inodes."""

import os
from pathlib import Path
from typing import NamedTuple


class Space(NamedTuple):
    """free: bytes that may still be written. inodes: whether another file can be made."""

    free: int
    inodes: bool

    def has(self, size: int) -> bool:
        """Return whether a new file of so many bytes fits."""
        return self.inodes and self.free >= max(1, size)


def space_of(folder: Path) -> Space:
    """Return what the disk of a folder takes. Raises OSError.

    A file system that makes inodes when it needs them says that it has 0 in all.
    Source: https://man7.org/linux/man-pages/man3/statvfs.3.html
    """
    disk = os.statvfs(folder)
    return Space(disk.f_bavail * disk.f_frsize, not disk.f_files or disk.f_favail > 0)
