"""Whose folders these are: in those of another database nothing is put and nothing removed."""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import prepare_serving
from jobserver.db import Connection, database_id, initialise
from jobserver.errors import StorageUnavailable
from jobserver.files.local import LocalStore
from jobserver.files.root import OWNER_FILE
from jobserver.ids import generate_id
from jobserver.jobs import ownership, retention
from tests.jobs import steps
from tests.jobs.house import AT, DAY, House, delete, make_aged_jobs
from tests.results import Clip, check_owned, ids, make_job
from tests.support import MP4_HEAD, Site, file_part

pytestmark = pytest.mark.both_databases

# -- the rule -----------------------------------------------------------------------------


def test_empty_folders_become_those_of_the_first_database(
    db: Connection, store: LocalStore
) -> None:
    ours = database_id(db)
    assert all(ownership.owns(db, root, ours) for root in store.roots)  # they may become its own
    assert all(root.owner() is None for root in store.roots)  # asking has marked nothing
    ownership.adopt_unowned(db, store)
    assert [root.owner() for root in store.roots] == [database_id(db)] * 2
    ownership.require_owner(db, store)


def test_folders_of_another_database_stay_its_own(db: Connection, store: LocalStore) -> None:
    for root in store.roots:
        root.mark("another")
    ownership.adopt_unowned(db, store)
    assert [root.owner() for root in store.roots] == ["another"] * 2
    assert not ownership.owns_all(db, store)
    with pytest.raises(StorageUnavailable):
        ownership.require_owner(db, store)


@pytest.mark.parametrize("n", [0, 1])
def test_one_foreign_folder_is_enough(
    db: Connection, store: LocalStore, n: int, caplog: pytest.LogCaptureFixture
) -> None:
    ownership.adopt_unowned(db, store)
    assert ownership.owns_all(db, store)
    assert caplog.text == ""
    store.roots[n].mark("another")
    with caplog.at_level(logging.WARNING):
        assert not ownership.owns_all(db, store)
    name = store.roots[n].name
    said = f"{name} does not hold the files of this database; nothing is removed"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_an_empty_folder_beside_jobs_is_a_volume_that_is_not_mounted(
    db: Connection, store: LocalStore
) -> None:
    steps.insert_job(db, "job")
    ownership.adopt_unowned(db, store)
    assert not any(ownership.owns(db, root, database_id(db)) for root in store.roots)
    assert all(root.owner() is None for root in store.roots)


def test_a_folder_with_files_of_nobody_known_is_not_adopted(
    db: Connection, store: LocalStore
) -> None:
    outputs = store.roots[1]
    (outputs.folder / "holiday.mp4").write_bytes(b"x")
    ownership.adopt_unowned(db, store)
    assert store.roots[0].owner() == database_id(db)
    assert outputs.owner() is None
    assert not ownership.owns(db, outputs, database_id(db))


def test_an_operator_may_have_any_folder_adopted(db: Connection, store: LocalStore) -> None:
    steps.insert_job(db, "job")
    for n, root in enumerate(store.roots):
        (root.folder / "holiday.mp4").write_bytes(b"x")
        if n:
            root.mark("another")
    ownership.adopt(db, store)
    assert ownership.owns_all(db, store)


def test_a_folder_that_cannot_be_read_is_not_ours(db: Connection, store: LocalStore) -> None:
    store.roots[0].folder.rmdir()
    assert not ownership.owns_all(db, store)
    assert ownership.why_not_all(db, store) == [
        f"{store.roots[0].name} is missing or cannot be read"
    ]


def test_a_new_volume_with_lost_and_found_becomes_ours(db: Connection, store: LocalStore) -> None:
    uploads, outputs = (root.folder for root in store.roots)
    (uploads / "lost+found").mkdir()
    (outputs / f"{OWNER_FILE}.0123").write_text("")  # a killed start's
    ownership.adopt_unowned(db, store)
    assert ownership.owns_all(db, store)
    assert all((folder / OWNER_FILE).exists() for folder in (uploads, outputs))


# -- what follows from it -------------------------------------------------------------------


def test_a_new_site_with_lost_and_found_is_healthy(site: Site) -> None:
    (site.upload_dir / OWNER_FILE).unlink()
    (site.upload_dir / "lost+found").mkdir()
    prepare_serving(site.app)
    assert (site.upload_dir / OWNER_FILE).exists()
    assert site.client.get("/api/health").status_code == 200


def make_database_anew(site: Site) -> None:
    if isinstance(site.server.place, str):
        with closing(site.connect()) as db:
            db.execute("DROP SCHEMA public CASCADE")
            db.execute("CREATE SCHEMA public")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{site.server.database}{suffix}").unlink(missing_ok=True)
    initialise(site.server.place)


def mark_uploads_of_another(site: Site) -> None:
    (site.upload_dir / OWNER_FILE).write_text("another")


def mark_outputs_of_another(site: Site) -> None:
    (site.output_dir / OWNER_FILE).write_text("another")


def unmark_uploads(site: Site) -> None:
    (site.upload_dir / OWNER_FILE).unlink()


def unmark_outputs(site: Site) -> None:
    (site.output_dir / OWNER_FILE).unlink()


def files_below(site: Site) -> set[Path]:
    return {*site.upload_dir.rglob("*"), *site.output_dir.rglob("*")}


@pytest.mark.parametrize(
    ("exchange", "folder"),
    [
        (make_database_anew, "UPLOAD_DIR"),
        (mark_uploads_of_another, "UPLOAD_DIR"),
        (mark_outputs_of_another, "OUTPUT_DIR"),
        (unmark_uploads, "UPLOAD_DIR"),
        (unmark_outputs, "OUTPUT_DIR"),
    ],
)
def test_a_lost_or_foreign_database_removes_nothing_and_says_so(
    site: Site, caplog: pytest.LogCaptureFixture, exchange: Callable[[Site], None], folder: str
) -> None:
    jobs = make_aged_jobs(site, 2 * DAY, 3 * DAY)
    (site.upload_dir / f"{generate_id()}.mp4").write_bytes(b"x")
    (site.output_dir / jobs[0].id / "orphan.mp4").write_bytes(b"x")
    exchange(site)
    before, rows = files_below(site), ids(site.server)
    site.change_settings(storage_quota=1)
    House(site).after(0)
    assert files_below(site) == before
    assert ids(site.server) == rows
    said = f"{folder} does not hold the files of this database"
    assert f"{said}; nothing is removed" in caplog.text
    health = site.client.get("/api/health")
    assert (health.status_code, health.json["status"]) == (503, "error")
    assert health.json["error"].startswith(said)
    assert site.post(file_part(MP4_HEAD)).status_code == 503
    assert files_below(site) == before


def test_what_is_marked_waits_until_the_folders_are_ours_again(
    site: Site, site_db: Connection
) -> None:
    job, other = make_aged_jobs(site, 2 * DAY, 3 * DAY)
    mine = (site.output_dir / OWNER_FILE).read_text()
    mark_outputs_of_another(site)
    assert retention.expire(site_db, site.store, [job.id, other.id], AT) == 0
    assert len(retention.marked_ids(site_db)) == 2
    assert job.paths[0].exists()
    (site.output_dir / OWNER_FILE).write_text(mine)
    assert retention.remove_marked(site_db, site.store, AT) == 2
    check_owned(site.server)


def test_a_job_is_not_deleted_while_a_folder_is_foreign(site: Site) -> None:
    job = make_job(site.server, Clip(status="queued"))
    mine = (site.output_dir / OWNER_FILE).read_text()
    mark_outputs_of_another(site)
    assert delete(site, job.id).status_code == 503
    assert site.show(job.id)["status"] == "queued"
    (site.output_dir / OWNER_FILE).write_text(mine)
    assert delete(site, job.id).status_code == 200
    assert not job.paths[0].exists()
    check_owned(site.server)


def test_a_volume_that_is_not_mounted_is_not_taken_for_a_new_one(site: Site) -> None:
    kept = make_job(site.server)
    for folder in (site.upload_dir, site.output_dir):
        folder.rename(folder.with_name("away"))
        folder.mkdir()
        prepare_serving(site.app)
        assert list(folder.iterdir()) == []
        assert site.client.get("/api/health").status_code == 503
        assert site.post(file_part(MP4_HEAD)).status_code == 503
        House(site).after(0)
        folder.rmdir()
        folder.with_name("away").rename(folder)
        assert site.client.get("/api/health").status_code == 200
    check_owned(site.server)
    assert ids(site.server) == {kept.id}


def test_a_folder_with_files_of_nobody_known_is_not_marked_by_a_round(site: Site) -> None:
    unmark_outputs(site)
    (site.output_dir / "holiday.mp4").write_bytes(b"x")
    with closing(site.connect()) as db:
        ownership.adopt_unowned(db, site.store)
    House(site).after(0)
    assert not (site.output_dir / OWNER_FILE).exists()
    assert (site.output_dir / "holiday.mp4").exists()
