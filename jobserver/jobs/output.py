"""Outputs appear whole or not at all: rendered aside, synced, renamed, and only then a row.

A claim renders into `OUTPUT_DIR/<job id>/.<file id>.<token>/`, which belongs to it alone.
The id of an output is derived from its file and number, so rendering it again after a crash
between rename and row gives the same name, and the same bytes.
"""

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobserver.ids import derive_id
from jobserver.jobs import store

PIECE_SIZE = 1024 * 1024
_WORKSHOP = re.compile(r"\.(?P<file_id>\w+)\.(?P<token>\d+)")


@contextmanager
def workshop(output_dir: Path, file: sqlite3.Row) -> Iterator[Path]:
    """Give a claim a folder of its own inside its job's; gone afterwards, with what is in it."""
    job_folder = output_dir / file["job_id"]
    for old in job_folder.glob(f".{file['id']}.*"):
        if int(old.suffix[1:]) < file["token"]:  # of a claim that has lost the file to this one
            shutil.rmtree(old, ignore_errors=True)
    folder = job_folder / f".{file['id']}.{file['token']}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def output_name(file: sqlite3.Row, number: int) -> str:
    """Return `<original stem>_var<N>_<id>.mp4` with the stem made safe."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(file["name"]).stem).strip("_-")[:80]
    return f"{stem or 'video'}_var{number}_{output_id(file, number)}.mp4"


def output_id(file: sqlite3.Row, number: int) -> str:
    """Return the id of one variation of a file."""
    return derive_id(file["id"], number)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_durable(path: Path) -> None:
    """Return once the file's bytes are on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(db: sqlite3.Connection, output_dir: Path) -> int:
    """Remove what killed workers left in OUTPUT_DIR; return how many things.

    A workshop goes when its claim no longer stands, a file when no row lists it and nothing
    of its job is being rendered. Both are judged after they were seen: what appears later
    belongs to the living. A folder of no job stays: it may be another database's.
    """
    folders = [folder for folder in output_dir.iterdir() if folder.is_dir()]
    return sum(_sweep_job(db, folder) for folder in folders if store.find_job(db, folder.name))


def _sweep_job(db: sqlite3.Connection, folder: Path) -> int:
    paths = list(folder.iterdir())
    rendering = store.is_rendering(db, folder.name)
    listed = {row["name"] for row in store.outputs_of(db, folder.name)}
    orphans = [path for path in paths if _is_orphan(db, path, rendering, listed)]
    for path in orphans:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(orphans)


def _is_orphan(db: sqlite3.Connection, path: Path, rendering: bool, listed: set[str]) -> bool:
    if claim := _WORKSHOP.fullmatch(path.name):
        return not store.is_held(db, claim["file_id"], int(claim["token"]))
    return not rendering and path.name not in listed
