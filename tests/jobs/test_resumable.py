"""Uploads that come in several requests, as rows: who may append, and how they end."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver.db import Connection, exclusive
from jobserver.errors import UploadNotFound, UploadTakenOver, UploadUsed
from jobserver.ids import generate_id
from jobserver.jobs import resumable, retention, sweep
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from jobserver.jobs.resumable import NewUpload, WriteHold
from tests.jobs import steps
from tests.jobs.house import AT, DAY, HOUR, House
from tests.support import Site

pytestmark = pytest.mark.both_databases


@pytest.fixture
def db(site: Site) -> Iterator[Connection]:
    with closing(site.connect()) as db:
        yield db


def begin(db: Connection, size: int = 100, expires_at: float = AT + DAY) -> str:
    upload_id = generate_id()
    new = NewUpload(
        id=upload_id,
        field="videos",
        name="clip.mp4",
        content_type=None,
        metadata=None,
        stored_name=f"{upload_id}.mp4",
        size=size,
        expires_at=expires_at,
    )
    with exclusive(db, "quota"):
        resumable.insert(db, new)
    return upload_id


def hold(db: Connection, upload_id: str, offset: int = 0) -> WriteHold:
    found = resumable.hold(db, upload_id, offset, AT)
    assert found is not None
    return found


def append(site: Site, held: WriteHold, content: bytes) -> None:
    extending = site.store.resumable.extend(held.upload.partial, held)
    extending.write(content)
    kept = extending.sync(last=True)
    extending.close()
    held.record(kept, start=b"", expires_at=AT + DAY, lease_until=0)


def use(db: Connection, upload_id: str) -> str:
    """Make a job of an upload; return its id."""
    job_id, upload = generate_id(), resumable.find(db, upload_id)
    file = NewFile(upload.id, upload.name, upload.stored_name, upload.size)
    steps.insert_draft(db, JobDraft(job_id, [file], JobOptions(1, "subtle", 0)), AT)
    with exclusive(db, "quota"):
        resumable.use(db, [upload_id], job_id)
    return job_id


def test_the_last_to_come_may_append(site, db):
    upload_id = begin(db)
    first = hold(db, upload_id)
    second = hold(db, upload_id)
    with pytest.raises(UploadTakenOver):
        first.next_number()
    with pytest.raises(UploadTakenOver):
        first.record(first.upload.partial, start=b"", expires_at=AT, lease_until=0)
    first.release()
    assert resumable.find(db, upload_id).lease_until > AT
    assert [second.next_number(), second.next_number()] == [1, 2]
    append(site, second, b"x" * 10)
    assert resumable.hold(db, upload_id, 9, AT) is None
    assert hold(db, upload_id, 10).next_number() == 3


def test_an_upload_that_was_removed_takes_nothing(site, db):
    held = hold(db, begin(db))
    append(site, held, b"x")
    resumable.remove(db, site.store, held.upload.id)
    with pytest.raises(UploadNotFound):
        held.require()
    assert site.server.uploads() == {}


def test_nobody_appends_to_a_file_of_a_job(site, db):
    upload_id = begin(db, size=3)
    append(site, hold(db, upload_id), b"abc")
    resumable.complete(db, site.store, resumable.find(db, upload_id))
    use(db, upload_id)
    assert resumable.hold(db, upload_id, 3, AT) is None
    with pytest.raises(UploadUsed):
        resumable.find_usable(db, upload_id)
    assert resumable.expired_ids(db, AT + 10 * DAY) == []


def test_a_file_that_was_renamed_before_a_crash_is_completed_once_more(site, db):
    upload_id = begin(db, size=3)
    append(site, hold(db, upload_id), b"abc")
    upload = resumable.find(db, upload_id)
    site.store.resumable.complete(upload.partial)  # and killed before it was noted
    resumable.complete(db, site.store, upload)
    assert resumable.find(db, upload_id).finished
    assert list(site.server.uploads()) == [upload.stored_name]


def test_a_sweep_spares_uploads_that_wait_and_those_that_became_files(site, db):
    waiting, used = begin(db), begin(db, size=3)
    append(site, hold(db, waiting), b"x")
    append(site, hold(db, used), b"abc")
    resumable.complete(db, site.store, resumable.find(db, used))
    use(db, used)
    (site.upload_dir / f"{generate_id()}.part").write_bytes(b"x")
    assert sweep.sweep_uploads(db, site.store) == 1
    assert set(site.server.uploads()) == {f"{waiting}.part", f"{used}.mp4"}


def test_an_upload_that_becomes_a_file_while_a_sweep_looks_is_spared(site, db, monkeypatch):
    upload_id = begin(db, size=3)
    append(site, hold(db, upload_id), b"abc")
    resumable.complete(db, site.store, resumable.find(db, upload_id))
    waiting_ids = resumable.waiting_ids

    def ids_of_before(db: Connection) -> set[str]:
        found = waiting_ids(db)
        if upload_id in found:
            use(db, upload_id)
        return found

    monkeypatch.setattr(resumable, "waiting_ids", ids_of_before)
    assert sweep.sweep_uploads(db, site.store) == 0
    assert set(site.server.uploads()) == {f"{upload_id}.mp4"}


def test_what_nobody_goes_on_with_expires(site, db):
    old, young = begin(db, expires_at=AT + HOUR), begin(db, expires_at=AT + 2 * HOUR)
    for each in (old, young):
        append_keeping(site, hold(db, each))
    House(site, AT + HOUR - 1).after(0)
    assert len(site.server.uploads()) == 2
    House(site, AT + HOUR).after(0)
    assert set(site.server.uploads()) == {f"{young}.part"}
    assert [resumable.find(db, young).id] == [young]
    with pytest.raises(UploadNotFound):
        resumable.find(db, old)


def append_keeping(site: Site, held: WriteHold) -> None:
    """Append a byte, and leave the end of its time as it is."""
    extending = site.store.resumable.extend(held.upload.partial, held)
    extending.write(b"x")
    kept = extending.sync(last=True)
    extending.close()
    held.record(kept, start=b"", expires_at=held.upload.expires_at, lease_until=0)


def test_nothing_expires_by_a_clock_that_has_jumped(site, db):
    begin(db, expires_at=AT + HOUR)
    house = House(site)
    house.after(0)
    house.after(1, jump=DAY)
    assert resumable.waiting_ids(db)


def test_a_row_goes_with_its_job(site, db):
    upload_id = begin(db, size=3)
    append(site, hold(db, upload_id), b"abc")
    resumable.complete(db, site.store, resumable.find(db, upload_id))
    job_id = use(db, upload_id)
    assert retention.delete(db, site.store, job_id, AT)
    assert site.rows("SELECT COUNT(*) FROM upload") == [(0,)]
    assert site.server.uploads() == {}
