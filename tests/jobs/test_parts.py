"""Parts and shots of a brief go the way of all files: swept, expired, evicted, deleted, adopted."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from jobserver.db import Connection, database_id, exclusive
from jobserver.ids import generate_id
from jobserver.jobs import ownership, queries, quota, sweep
from tests.jobs import steps
from tests.jobs.house import AT, DAY, HOUR, House, delete
from tests.support import Site
from tests.uploads.brief_parts import brief_part, parts

pytestmark = pytest.mark.both_databases

SHOT = b"a shot" * 100


class BriefJob(NamedTuple):
    """A job of two videos with a hook and music, and a shot of its first video."""

    id: str
    uploads: list[Path]
    shot: Path

    @property
    def files(self) -> list[Path]:
        return [*self.uploads, self.shot]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@pytest.fixture
def db(site: Site) -> Iterator[Connection]:
    with closing(site.connect()) as db:
        yield db


def make(site: Site, db: Connection, at: float = AT) -> BriefJob:
    sent = (*parts("videos", "a.mp4", "b.mp4"), *parts("hooks", "c.mp4"), *parts("music", "d.mp3"))
    job_id: str = site.post(*sent, brief_part(formats=["9:16"])).json["jobId"]
    with exclusive(db, "queue"):
        db.write("UPDATE job SET created_at = :at WHERE id = :id", {"at": at, "id": job_id})
    held = steps.claim(db, at)
    assert (held.job_id, held.stage, held.role) == (job_id, 0, "hook")
    steps.insert_shot(db, held, "key", size=len(SHOT))
    assert steps.release(db, held, at)
    shot = site.output_dir / job_id / "key.mp4"
    shot.parent.mkdir()
    shot.write_bytes(SHOT)
    files = queries.files_of(db, job_id)
    return BriefJob(job_id, [site.upload_dir / file.stored_name for file in files], shot)


def there(site: Site) -> set[Path]:
    """Every file but the owners' marks."""
    found = (path for folder in (site.upload_dir, site.output_dir) for path in folder.rglob("*"))
    return {path for path in found if path.is_file() and path.name != ".database"}


def test_a_round_leaves_all_files_of_a_job_that_waits(site: Site, db: Connection) -> None:
    job = make(site, db)
    (site.upload_dir / f"{generate_id()}.png").write_bytes(b"of no job")
    House(site).after(0)
    assert there(site) == set(job.files)
    assert len(job.files) == 5
    steps.cancel(db, job.id, AT)
    (job.shot.parent / "other.mp4").write_bytes(b"of no row")
    House(site).after(0)
    assert there(site) == set(job.files)


def test_a_job_expires_with_its_parts_and_shots_a_day_after_it_ended(
    site: Site, db: Connection
) -> None:
    job, house = make(site, db), House(site)
    steps.cancel(db, job.id, AT + HOUR)
    house.after(DAY + HOUR - 1)
    assert there(site) == set(job.files)
    house.after(2)
    assert there(site) == set()
    for table in ("job", "job_file", "shot", "job_standing"):
        assert site.rows(f"SELECT * FROM {table}") == []  # noqa: S608


def test_a_job_is_deleted_with_its_parts_and_shots(site: Site, db: Connection) -> None:
    job, other = make(site, db), make(site, db, AT + 1)
    assert delete(site, job.id).status_code == 200
    assert there(site) == set(other.files)
    assert db.column("SELECT DISTINCT job_id FROM shot") == [other.id]


def test_parts_and_shots_count_and_the_oldest_job_goes_with_all_of_them(
    site: Site, db: Connection
) -> None:
    old, new = make(site, db), make(site, db, AT + 1)
    assert quota.used_bytes(db) == old.size + new.size
    steps.cancel(db, old.id, AT + 2)
    steps.cancel(db, new.id, AT + 3)
    site.change_settings(storage_quota=old.size + new.size - 1)
    House(site).after(3)
    assert there(site) == set(new.files)
    assert quota.used_bytes(db) == new.size


def test_a_kept_job_of_another_database_is_adopted_whole(site: Site, db: Connection) -> None:
    job = make(site, db)
    for root in site.store.roots:
        root.mark("another database")
    House(site).after(0)
    assert there(site) == set(job.files)
    assert not ownership.owns_all(db, site.store)
    ownership.adopt(db, site.store)
    assert {root.owner() for root in site.store.roots} == {database_id(db)}
    House(site).after(0)
    assert there(site) == set(job.files)
    assert sweep.sweep_uploads(db, site.store) == 0
    assert delete(site, job.id).status_code == 200
    assert there(site) == set()


def test_another_name_that_got_no_row_is_swept_and_the_file_stays(
    site: Site, db: Connection
) -> None:
    """As a server leaves it that is killed while it makes a job again."""
    job = make(site, db)
    copies = [site.store.copy_upload(f"uploads/{path.name}") for path in job.uploads]
    for copy in copies:
        copy.commit()
    House(site).after(0)
    assert len(there(site)) == len(job.files) + len(copies)  # its request lives
    for copy in copies:
        copy.discard()
    House(site).after(0)
    assert there(site) == set(job.files)
