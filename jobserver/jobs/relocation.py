"""Copying the files of all jobs from one store into another, each read back and compared.

Which they are is what the sweep spares: all that rows name. Keys stay the same.
"""

import hashlib
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import BinaryIO, NamedTuple

from jobserver.db import Connection
from jobserver.errors import StorageUnavailable
from jobserver.files.keys import output_key, placed_key, source_key
from jobserver.files.store import Store
from jobserver.jobs import sweep

COPIED_AT_ONCE = 4
PIECE_SIZE = 1024 * 1024


class Copied(NamedTuple):
    """A file that is in the new store now. size: bytes. sha256: of what both stores have."""

    key: str
    size: int
    sha256: str


def listed_files(db: Connection) -> dict[str, str | None]:
    """Return the keys of all files that rows name, with the SHA-256 that a row has of it."""
    keys: dict[str, str | None] = {}
    for stored_name, sha256 in db.execute("SELECT stored_name, sha256 FROM job_file").fetchall():
        keys[source_key(stored_name)] = sha256
    for job_id, names in sweep.listed_names(db).items():
        keys |= dict.fromkeys(output_key(job_id, name) for name in names)
    query = """
        SELECT file.job_id, output.place, output.name, output.sha256
        FROM output JOIN job_file AS file ON file.id = output.file_id"""
    for job_id, place, name, sha256 in db.execute(query).fetchall():
        keys[placed_key(place, job_id, name)] = sha256
    return keys


def require_empty_or_own(store: Store, database_id: str) -> None:
    """Take an empty store for this database. Raises StorageUnavailable for one with content."""
    for root in store.roots:
        if root.owner() is None and root.is_empty():
            root.mark(database_id, only_new=True)
        if root.owner() != database_id:
            raise StorageUnavailable(f"{root.name} has content of its own; nothing was copied")


def missing_files(store: Store, keys: Collection[str]) -> list[str]:
    """Return which of these are not in the store."""
    missing = []
    for key in sorted(keys):
        try:
            store.open(key).close()
        except FileNotFoundError:
            missing.append(key)
    return missing


def copy_files(source: Store, target: Store, keys: Collection[str]) -> Iterator[Copied]:
    """Copy these files, a few at once, and yield each once it was read back and is the same.

    Raises OSError (StoreUnreachable too), or StorageUnavailable for bytes that changed.
    """
    with ThreadPoolExecutor(COPIED_AT_ONCE) as pool:
        copies = [pool.submit(_copy, source, target, key) for key in sorted(keys)]
        try:
            for copy in as_completed(copies):
                yield copy.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _copy(source: Store, target: Store, key: str) -> Copied:
    with source.local_path(key) as path:
        with path.open("rb") as file:
            size, sent = digest(file)
        target.put(path, key)
    with target.open(key) as stored:
        found = digest(stored)
    if found != (size, sent):
        target.delete(key)
        raise StorageUnavailable(f"{key} came back different from the new store; try again")
    return Copied(key, size, sent)


def digest(file: BinaryIO) -> tuple[int, str]:
    """Return how many bytes there are, and their SHA-256."""
    size, digest = 0, hashlib.sha256()
    while piece := file.read(PIECE_SIZE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
