"""Which files the rows name, with what they say of them: what a backup lists, and a check finds."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.files.keys import placed_key, source_key
from jobserver.files.store import Store
from jobserver.jobs import relocation


class StoredFile(NamedTuple):
    """size: bytes, None where no row says it, as of thumbnails. sha256: None likewise."""

    key: str
    size: int | None
    sha256: str | None


def inventory(db: Connection) -> list[StoredFile]:
    """Return every file that rows name, by key."""
    sizes = dict(_sizes(db))
    listed = relocation.listed_files(db)
    return [StoredFile(key, sizes.get(key), listed[key]) for key in sorted(listed)]


def wrong_files(
    store: Store, files: Iterable[StoredFile], *, read: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield key and a few words of each file that is not there as it is listed.

    read: compare the SHA-256 as well, where one is known. Raises OSError, StoreUnreachable.
    """
    for file in files:
        try:
            with store.open(file.key) as found:
                size = found.seek(0, os.SEEK_END)
                found.seek(0)
                if file.size is not None and size != file.size:
                    yield file.key, f"has {size} bytes, not {file.size}"
                elif read and file.sha256 not in (None, relocation.digest(found)[1]):
                    yield file.key, "does not have its SHA-256"
        except FileNotFoundError:
            yield file.key, "is missing"


def _sizes(db: Connection) -> Iterator[tuple[str, int]]:
    for stored_name, size in db.execute("SELECT stored_name, size FROM job_file").fetchall():
        yield source_key(stored_name), size
    yield from map(tuple, db.execute("SELECT place, size FROM shot").fetchall())
    query = """
        SELECT file.job_id, output.place, output.name, output.size
        FROM output JOIN job_file AS file ON file.id = output.file_id"""
    for job_id, place, name, size in db.execute(query).fetchall():
        yield placed_key(place, job_id, name), size
