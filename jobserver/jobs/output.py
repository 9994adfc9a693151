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
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobserver.ids import derive_id
from jobserver.jobs import store

PIECE_SIZE = 1024 * 1024
_JOB_ID = re.compile(r"\w{22}")  # see ids.py; a volume may hold other folders, as lost+found
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
    return f"{safe_stem(file['name'])}_var{number}_{output_id(file, number)}.mp4"


def safe_stem(name: str) -> str:
    """Return what is harmless of a client's file name without its extension, never nothing."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem).strip("_-")[:80] or "video"


def output_id(file: sqlite3.Row, number: int) -> str:
    """Return the id of one variation of a file."""
    return derive_id(file["id"], number)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32_of(path: Path) -> int:
    """Return the CRC-32 of a file, as a ZIP notes it."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_SIZE):
            crc = zlib.crc32(piece, crc)
    return crc


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
    """Remove what killed workers left in OUTPUT_DIR; return how many things."""
    count = 0
    for path in orphans(db, output_dir):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        count += 1
    return count


def orphans(db: sqlite3.Connection, output_dir: Path) -> Iterator[Path]:
    """Yield what belongs to nobody in OUTPUT_DIR.

    The folder of a job that is gone (a worker had not noticed yet), a workshop whose claim no
    longer stands, a file that no row lists while nothing of its job is being rendered. All
    are judged after they were seen: what appears later belongs to the living.
    """
    seen = _seen(output_dir)
    rendering, jobs = store.rendering_jobs(db), store.job_ids(db)
    listed = store.listed_names(db)
    for job_id, names in seen.items():
        folder = output_dir / job_id
        if job_id not in jobs:
            yield folder
            continue
        for name in names - listed.get(job_id, set()):
            if _is_orphan(db, name, job_id in rendering):
                yield folder / name


def forget_missing(db: sqlite3.Connection, output_dir: Path) -> int:
    """Delete the rows of outputs whose files somebody removed; return how many.

    A job without its whole folder keeps them: the disk may only not be mounted.
    """
    rows = store.output_names(db)
    seen = _seen(output_dir)
    missing = [
        row["id"] for row in rows if row["name"] not in seen.get(row["job_id"], {row["name"]})
    ]
    if missing:
        store.delete_outputs(db, missing)
    return len(missing)


def _seen(output_dir: Path) -> dict[str, set[str]]:
    """Return the names in each job's folder, by job."""
    seen: dict[str, set[str]] = {}
    for job_id in filter(_JOB_ID.fullmatch, os.listdir(output_dir)):
        with suppress(FileNotFoundError, NotADirectoryError):  # removed meanwhile, or not ours
            seen[job_id] = set(os.listdir(output_dir / job_id))
    return seen


def _is_orphan(db: sqlite3.Connection, name: str, rendering: bool) -> bool:
    if claim := _WORKSHOP.fullmatch(name):
        return not store.is_held(db, claim["file_id"], int(claim["token"]))
    return not rendering
