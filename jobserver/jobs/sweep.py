"""What belongs to no job goes: uploads without a row, and what killed workers left.

Everything is judged after it was seen: what appears later belongs to a living request or claim.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from jobserver.db import Connection, removing
from jobserver.files.keys import UPLOADS, claim_of, output_key, placed_key, upload_id_of
from jobserver.files.store import Store
from jobserver.jobs import differences, events, resumable, standing
from jobserver.jobs.retention import batches


class _ListedFile(NamedTuple):
    id: str
    job_id: str
    file_id: str
    name: str
    thumbnail: str | None
    place: str | None
    thumbnail_place: str | None


def sweep_uploads(db: Connection, store: Store) -> int:
    """Delete uploads that no row names and no living request holds; return how many.

    The caller has asked ownership.owns_all().
    """
    count = store.abort_dead_uploads(resumable.waiting_ids(db))
    for key in orphaned_uploads(db, store):
        name = key.removeprefix(UPLOADS)
        count += store.delete_orphan(key, lambda name=name: _is_listed(db, name))  # type: ignore[misc]
    return count


def orphaned_uploads(db: Connection, store: Store) -> list[str]:
    """Return the keys of uploads that no row names; a living request may hold one of them.

    First what lies there, then those that come in several requests, then the files of jobs: one
    becomes the other.
    """
    keys = list(store.list_uploads())
    waiting = resumable.waiting_ids(db)
    known = set(db.column("SELECT stored_name FROM job_file"))
    return [
        key
        for key in keys
        if key.removeprefix(UPLOADS) not in known and upload_id_of(key) not in waiting
    ]


def _is_listed(db: Connection, stored_name: str) -> bool:
    if resumable.is_waiting(db, upload_id_of(stored_name)):
        return True
    query = "SELECT 1 FROM job_file WHERE stored_name = :name"
    return db.value(query, {"name": stored_name}) is not None


def sweep_outputs(db: Connection, store: Store) -> int:
    """Delete what killed workers left among the outputs; return how many things."""
    count = 0
    for job_id, name in orphaned_outputs(db, store):
        with suppress(OSError):  # a worker that has lost its claim may still write there
            if name is None:
                store.delete_job(job_id)
                count += 1
            else:
                count += store.delete_orphan(output_key(job_id, name), lambda: False)
    return count


def orphaned_outputs(db: Connection, store: Store) -> Iterator[tuple[str, str | None]]:
    """Yield job id and name of what belongs to nobody; the name is None for a whole folder.

    The folder of a job that has been deleted (a worker had not noticed yet), what a claim that
    has ended had begun, a file that no row lists while nothing of its job is rendered.

    First what lies there, then the claims, then the rows: what was published meanwhile is in the
    rows, what was begun later was not seen.
    """
    seen = store.list_outputs()
    held = db.all(_HeldFile, _HELD)
    claims = {(each.id, each.claim_token) for each in held}
    rendering = {each.job_id for each in held}
    jobs = set(db.column("SELECT id FROM job"))
    listed = listed_names(db)
    for job_id, names in seen.items():
        if job_id not in jobs:
            yield job_id, None
            continue
        for name in names - listed.get(job_id, set()):
            claim = claim_of(name)
            if job_id not in rendering if claim is None else claim not in claims:
                yield job_id, name


class _HeldFile(NamedTuple):
    job_id: str
    id: str
    claim_token: int


_HELD = "SELECT job_id, id, claim_token FROM job_file WHERE status = 'processing'"


def forget_missing(db: Connection, store: Store, now: float) -> int:
    """Delete the rows of outputs whose files somebody removed; return how many.

    A job without its whole folder keeps them: the disk may only not be mounted.
    """
    rows = _listed_files(db)
    seen = store.present_outputs()
    if seen is None:
        return 0
    missing = [row for row in rows if _is_missing(row, seen)]
    count = 0
    for batch in batches(missing):
        with removing(db, "publish"):
            count += sum(_forget(db, row, now) for row in batch)
    return count


def _is_missing(row: _ListedFile, seen: Mapping[str, set[str]]) -> bool:
    name = _name_in_folder(row.job_id, row.place, row.name)
    return name not in seen.get(row.job_id, {name})


def _forget(db: Connection, row: _ListedFile, now: float) -> int:
    """Delete one row; nothing is recorded of one that has gone meanwhile, as with its job."""
    count = db.write("DELETE FROM output WHERE id = :id", {"id": row.id})
    if count:
        differences.forget_nearest(db, row.file_id, row.id)
        standing.touch(db, row.job_id)
        events.record_outputs(
            db, row.job_id, row.file_id, kind="output.removed", ids=[row.id], now=now
        )
    return count


def _listed_files(db: Connection) -> list[_ListedFile]:
    query = """
        SELECT output.id, file.job_id, output.file_id, output.name, output.thumbnail,
               output.place, output.thumbnail_place
        FROM output JOIN job_file AS file ON file.id = output.file_id"""
    return db.all(_ListedFile, query)


def listed_names(db: Connection) -> dict[str, set[str]]:
    """Return what rows list in each job's folder, by job."""
    names: dict[str, set[str]] = {}
    for row in _listed_files(db):
        mine = names.setdefault(row.job_id, set())
        mine.add(_name_in_folder(row.job_id, row.place, row.name))
        if row.thumbnail is not None:
            mine.add(_name_in_folder(row.job_id, row.thumbnail_place, row.thumbnail))
    query = "SELECT job_id, thumbnail_place, thumbnail FROM job_file WHERE thumbnail IS NOT NULL"
    for job_id, place, thumbnail in db.execute(query).fetchall():
        names.setdefault(job_id, set()).add(_name_in_folder(job_id, place, thumbnail))
    for job_id, place in db.execute("SELECT job_id, place FROM shot").fetchall():
        names.setdefault(job_id, set()).add(_name_in_folder(job_id, place, ""))
    return names


def _name_in_folder(job_id: str, place: str | None, name: str) -> str:
    return placed_key(place, job_id, name).removeprefix(output_key(job_id, ""))
