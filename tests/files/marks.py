"""What may lie in the place of a folder's `.database`, instead of the id of its database."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def make_empty(mark: Path) -> None:
    mark.touch()


def make_garbage(mark: Path) -> None:
    mark.write_bytes(b"\xff\xfe\x00not UTF-8")


def make_loop(mark: Path) -> None:
    """What nobody can read, root neither."""
    mark.symlink_to(mark)


def make_large(mark: Path) -> None:
    with mark.open("wb") as file:
        file.truncate(64 * 1024**3)


UNREADABLE: list[Callable[[Path], object]] = [Path.mkdir, make_loop]
DAMAGED: list[Callable[[Path], object]] = [
    make_empty,
    make_garbage,
    make_large,
    os.mkfifo,
    *UNREADABLE,
]
EACH_DAMAGED = pytest.mark.parametrize("damage", DAMAGED, ids=lambda make: make.__name__)


def replace(mark: Path, damage: Callable[[Path], object]) -> None:
    mark.unlink(missing_ok=True)
    damage(mark)
