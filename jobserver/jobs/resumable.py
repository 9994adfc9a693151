"""Uploads that come in several requests: one row each, until a job has taken it.

Of all requests that append to an upload the last to come has the right: it takes a new write
token, and whatever an earlier one still wants to note names the old one and changes nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from jobserver.db import Connection, claiming, removing
from jobserver.errors import (
    Busy,
    UploadGone,
    UploadNotFound,
    UploadTakenOver,
    UploadUnfinished,
    UploadUsed,
)
from jobserver.files.store import Partial, Store

LEASE_S = 60.0  # since its last note, after which a request that appends counts as dead
MAX_UPLOADS = 10_000  # that wait for their job


class Upload(NamedTuple):
    """A row; see the migration that made it. job_id: of the job that has it, or None."""

    id: str
    field: str
    name: str
    content_type: str | None
    metadata: str | None
    stored_name: str
    size: int
    received: int
    state: str
    start: str
    finished: int
    write_token: int
    lease_until: float
    job_id: str | None
    expires_at: float

    @property
    def partial(self) -> Partial:
        """As its store knows it."""
        return Partial(
            self.id, self.stored_name, self.size, received=self.received, state=self.state
        )

    @property
    def is_whole(self) -> bool:
        """Whether every byte was received."""
        return self.received == self.size


_COLUMNS = ", ".join(Upload._fields)


class NewUpload(NamedTuple):
    """An upload that is about to begin; see Upload."""

    id: str
    field: str
    name: str
    content_type: str | None
    metadata: str | None
    stored_name: str
    size: int
    expires_at: float


def insert(db: Connection, new: NewUpload) -> None:
    """Begin an upload. The caller holds `exclusive("quota")`, and has made room. Raises Busy."""
    waiting: int = db.value("SELECT COUNT(*) FROM upload WHERE job_id IS NULL")
    if waiting >= MAX_UPLOADS:
        raise Busy(f"Too many uploads wait for their jobs (at most {MAX_UPLOADS:,})")
    names = NewUpload._fields
    values = ", ".join(f":{name}" for name in names)
    insertion = f"INSERT INTO upload ({', '.join(names)}) VALUES ({values})"  # noqa: S608  constants
    db.write(insertion, new._asdict())


def find(db: Connection, upload_id: str) -> Upload:
    """Return an upload that waits for its job. Raises UploadNotFound or UploadGone."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE id = :id"  # noqa: S608  constants
    found = db.one(Upload, query, {"id": upload_id})
    if found is None:
        raise UploadNotFound
    if found.job_id is not None:
        raise UploadGone("The upload has become part of a job")
    return found


def waiting_ids(db: Connection) -> set[str]:
    """Return the ids of the uploads that wait for their jobs: what lies there is theirs."""
    return set(db.column("SELECT id FROM upload WHERE job_id IS NULL"))


def is_waiting(db: Connection, upload_id: str) -> bool:
    """Return whether an upload waits for its job."""
    query = "SELECT 1 FROM upload WHERE id = :id AND job_id IS NULL"
    return db.value(query, {"id": upload_id}) is not None


# -- appending ----------------------------------------------------------------


@dataclass
class WriteHold:
    """The right of one request to append; see store.Hold."""

    db: Connection
    upload: Upload

    def require(self) -> None:
        """Raise UploadTakenOver when another request has it, UploadNotFound without the upload."""
        query = "SELECT write_token FROM upload WHERE id = :id"
        found = self.db.value(query, {"id": self.upload.id})
        if found is None:
            raise UploadNotFound
        if found != self.upload.write_token:
            raise UploadTakenOver

    def next_number(self) -> int:
        """Return a number above all that were given for this upload. Raises as require()."""
        query = """
            UPDATE upload SET part_number = part_number + 1
            WHERE id = :id AND write_token = :write_token RETURNING part_number"""
        with claiming(self.db):
            number: int | None = self.db.value(query, self._own())
        return number if number is not None else self._refuse()

    def record(self, kept: Partial, *, start: bytes, expires_at: float, lease_until: float) -> None:
        """Note what was received. lease_until: 0 when no more will come. Raises as require()."""
        query = """
            UPDATE upload SET received = :received, state = :state, start = :start,
                   expires_at = :expires_at, lease_until = :lease_until
            WHERE id = :id AND write_token = :write_token"""
        values = {
            "received": kept.received,
            "state": kept.state,
            "start": start.hex(),
            "expires_at": expires_at,
            "lease_until": lease_until,
        }
        with claiming(self.db):
            noted = self.db.write(query, {**values, **self._own()})
        if not noted:
            self._refuse()

    def release(self) -> None:
        """Note that nobody appends; harmless when another request has the right."""
        query = """
            UPDATE upload SET lease_until = 0
            WHERE id = :id AND write_token = :write_token AND lease_until > 0"""
        with claiming(self.db):
            self.db.write(query, self._own())

    def _own(self) -> dict[str, str | int]:
        return {"id": self.upload.id, "write_token": self.upload.write_token}

    def _refuse(self) -> int:
        self.require()
        raise UploadTakenOver  # removed and made again, which no id is


def hold(db: Connection, upload_id: str, offset: int, now: float) -> WriteHold | None:
    """Take the right to append at an offset from any other request; None at another offset."""
    query = f"""
        UPDATE upload SET write_token = write_token + 1, lease_until = :lease_until
        WHERE id = :id AND received = :offset AND job_id IS NULL RETURNING {_COLUMNS}"""  # noqa: S608
    values = {"id": upload_id, "offset": offset, "lease_until": now + LEASE_S}
    with claiming(db):
        found = db.one(Upload, query, values)
    return None if found is None else WriteHold(db, found)


def complete(db: Connection, store: Store, upload: Upload) -> None:
    """Make an upload visible of which every byte was received. Harmless twice. Raises OSError."""
    if upload.finished:
        return
    store.resumable.complete(upload.partial)
    with claiming(db):
        db.write("UPDATE upload SET finished = 1 WHERE id = :id", {"id": upload.id})


# -- their end ----------------------------------------------------------------


def require_usable(upload: Upload | None) -> Upload:
    """Return an upload that a job may take. Raises UploadNotFound, UploadUsed, UploadUnfinished."""
    if upload is None:
        raise UploadNotFound
    if upload.job_id is not None:
        raise UploadUsed(f"The upload {upload.id} is used by another job")
    if not upload.is_whole:
        raise UploadUnfinished(
            f"The upload {upload.id} is not finished ({upload.received} of {upload.size} bytes)"
        )
    return upload


def find_usable(db: Connection, upload_id: str) -> Upload:
    """Return a finished upload. Raises as require_usable()."""
    query = f"SELECT {_COLUMNS} FROM upload WHERE id = :id"  # noqa: S608  constants
    found = db.one(Upload, query, {"id": upload_id})
    if found is None:
        raise UploadNotFound(f"There is no upload {upload_id}")
    return require_usable(found)


def use(db: Connection, upload_ids: Sequence[str], job_id: str) -> None:
    """Give uploads to a job, in the transaction that has inserted it."""
    query = "UPDATE upload SET job_id = :job_id WHERE id = :id"
    db.write_many(query, [{"id": each, "job_id": job_id} for each in upload_ids])


def remove(db: Connection, store: Store, upload_id: str) -> None:
    """Remove an upload, its row first. Raises UploadNotFound, UploadGone or OSError."""
    with removing(db, "quota"):
        upload = find(db, upload_id)
        db.write("DELETE FROM upload WHERE id = :id", {"id": upload_id})
    store.resumable.discard(upload.partial)


def expired_ids(db: Connection, now: float) -> list[str]:
    """Return the ids of the uploads that nobody has gone on with, nor used, for too long."""
    query = "SELECT id FROM upload WHERE job_id IS NULL AND expires_at <= :now"
    return db.column(query, {"now": now})


def expire(db: Connection, store: Store, upload_ids: Sequence[str]) -> int:
    """Remove uploads; return how many. What cannot go now is the sweep's."""
    count = 0
    for upload_id in upload_ids:
        with suppress(UploadNotFound, UploadGone, OSError):
            remove(db, store, upload_id)
            count += 1
    return count
