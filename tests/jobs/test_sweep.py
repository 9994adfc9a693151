"""What a sweep removes: exactly what belongs to no job."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobserver.db import Connection, exclusive
from jobserver.files.keys import source_key
from jobserver.files.local import LocalStore
from jobserver.ids import generate_id
from jobserver.jobs import events, queries, queue, retention, sweep
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile
from tests.jobs import steps
from tests.jobs.house import AT, House
from tests.results import Clip, check_owned, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases

# as long as real ids
JOB, TAKEN, CANCELLED = (name.ljust(22, "x") for name in ("job", "taken", "cancelled"))


def insert_job(db: Connection, job_id: str, stored_name: str = "") -> None:
    file = NewFile(f"file{job_id}", "clip.mp4", stored_name or f"{job_id}.mp4", 1)
    steps.insert_draft(db, JobDraft(job_id, [file], JobOptions(2, "subtle", 0)), 1000)


def publish(db: Connection, held: Claim, name: str) -> None:
    with exclusive(db, "publish"):
        assert queue.finish(db, held, 1001)
        queue.insert_outputs(db, held, [steps.new_output(held, 1, name=name)], 1001)


def place(folder: Path, *names: str) -> None:
    """Put files into a job's folder; a name with a slash is in a scratch folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class ChangingStore:
    """A store in which something happens right after it was looked at."""

    def __init__(self, store: LocalStore, happen: Callable[[], object]) -> None:
        self._store, self._happen = store, happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list_outputs(self) -> dict[str, set[str]]:
        seen = self._store.list_outputs()
        self._happen()
        return seen

    present_outputs = list_outputs

    def list_uploads(self) -> Iterator[str]:
        seen = list(self._store.list_uploads())
        yield from seen
        self._happen()


# -- outputs ------------------------------------------------------------------------------


def test_a_sweep_removes_what_no_row_lists_of_a_job_that_is_not_rendered(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    publish(db, steps.claim(db, 1000), "listed.mp4")
    scratch = [f".file{JOB}.{token}/1.mp4" for token in (1, 7)]
    place(output_dir / JOB, "listed.mp4", "orphan.mp4", *scratch)
    assert sweep.sweep_outputs(db, store) == 3
    assert found(output_dir) == {f"{JOB}/listed.mp4"}
    assert sweep.sweep_outputs(db, store) == 0


def test_a_sweep_leaves_what_a_living_claim_makes(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    steps.claim(db, 0)  # by now past its lease, and still nobody else's
    renamed, mine, lost = "renamed.mp4", f".file{JOB}.1/1.mp4", f".file{JOB}.0/1.mp4"
    place(output_dir / JOB, renamed, mine, lost)
    assert sweep.sweep_outputs(db, store) == 1
    assert found(output_dir / JOB) == {renamed, mine}


def test_a_sweep_removes_the_scratch_folder_of_a_claim_that_lost_its_file(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, TAKEN)
    assert [steps.claim(db, now).claim_token for now in (1000, 1031)] == [1, 2]
    insert_job(db, CANCELLED)
    assert steps.claim(db, 1031).claim_token == 1
    assert steps.cancel(db, CANCELLED, 1032) == 1
    place(output_dir / TAKEN, f".file{TAKEN}.1/1.mp4", f".file{TAKEN}.2/1.mp4")
    place(output_dir / CANCELLED, f".file{CANCELLED}.1/1.mp4", "renamed.mp4")
    assert sweep.sweep_outputs(db, store) == 3
    assert found(output_dir) == {f"{TAKEN}/.file{TAKEN}.2/1.mp4"}


def test_a_sweep_removes_the_folder_of_a_job_that_is_gone(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    place(output_dir / JOB, f".file{JOB}.0/1.mp4")
    place(output_dir / TAKEN, "1.mp4", "1.webp", ".file.1/1.mp4")  # a worker had not noticed
    assert list(sweep.orphaned_outputs(db, store)) in (
        [(JOB, f".file{JOB}.0"), (TAKEN, None)],
        [(TAKEN, None), (JOB, f".file{JOB}.0")],
    )
    assert sweep.sweep_outputs(db, store) == 2
    assert found(output_dir) == set()
    assert not (output_dir / TAKEN).exists()


def test_a_sweep_leaves_the_folders_of_others_alone(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    place(output_dir / "stranger", "a.mp4", ".x.1/1.mp4")
    place(output_dir, "note.txt")
    assert sweep.sweep_outputs(db, store) == 0
    assert found(output_dir) == {"stranger/a.mp4", "stranger/.x.1/1.mp4", "note.txt"}


def test_a_sweep_leaves_what_is_published_while_it_looks(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    held = steps.claim(db, 1000)
    place(output_dir / JOB, "renamed.mp4")  # and then committed
    changing = ChangingStore(store, lambda: publish(db, held, "renamed.mp4"))
    assert sweep.sweep_outputs(db, changing) == 0
    assert found(output_dir / JOB) == {"renamed.mp4"}


# -- uploads ------------------------------------------------------------------------------


@pytest.fixture
def upload_dir(store: LocalStore) -> Path:
    return store.roots[0].folder


def test_an_upload_belongs_to_a_job_or_not(
    db: Connection, store: LocalStore, upload_dir: Path
) -> None:
    listed, *orphans = (f"{generate_id()}{suffix}" for suffix in (".mp4", ".mp4", ".part"))
    insert_job(db, JOB, listed)
    orphans.append(f"{listed[:22]}.MP4")
    place(upload_dir, listed, *orphans, "clip.mp4")
    assert set(sweep.orphaned_uploads(db, store)) == {source_key(name) for name in orphans}
    assert sweep.sweep_uploads(db, store) == 3
    assert found(upload_dir) == {listed, "clip.mp4"}  # a name that is none of ours stays
    assert sweep.sweep_uploads(db, store) == 0


def test_an_upload_that_is_being_received_stays(
    db: Connection, store: LocalStore, upload_dir: Path
) -> None:
    incoming = store.receive("clip.mp4")
    assert sweep.orphaned_uploads(db, store) == [source_key(f"{incoming.id}.part")]
    assert sweep.sweep_uploads(db, store) == 0
    incoming.commit()
    assert sweep.sweep_uploads(db, store) == 0
    incoming.discard()
    assert sweep.sweep_uploads(db, store) == 1
    assert found(upload_dir) == set()


def test_an_upload_whose_request_ended_while_the_sweep_looked_stays(
    db: Connection, store: LocalStore, upload_dir: Path
) -> None:
    name = f"{generate_id()}.mp4"
    place(upload_dir, name)
    changing = ChangingStore(store, lambda: insert_job(db, JOB, name))
    assert sweep.sweep_uploads(db, changing) == 0
    assert found(upload_dir) == {name}


def test_an_upload_that_was_queued_after_it_was_chosen_stays(
    db: Connection, store: LocalStore, upload_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{generate_id()}.mp4"
    place(upload_dir, name)
    chosen = sweep.orphaned_uploads(db, store)
    assert chosen == [source_key(name)]
    monkeypatch.setattr(sweep, "orphaned_uploads", lambda *_: chosen)
    insert_job(db, JOB, name)
    assert sweep.sweep_uploads(db, store) == 0
    assert found(upload_dir) == {name}


def test_a_sweep_leaves_shots_that_a_row_lists(
    db: Connection, store: LocalStore, output_dir: Path
) -> None:
    insert_job(db, JOB)
    held = steps.claim(db, 1000)
    steps.insert_shot(db, held, "a")
    assert steps.release(db, held, 1001)
    place(output_dir / JOB, "a.mp4", "b.mp4")
    assert steps.cancel(db, JOB) == 1
    assert sweep.sweep_outputs(db, store) == 1
    assert found(output_dir / JOB) == {"a.mp4"}


# -- outputs that somebody else removed -----------------------------------------------------


@pytest.fixture
def published(db: Connection, output_dir: Path) -> Connection:
    """A job whose two outputs are listed, and only the second of them is there."""
    insert_job(db, JOB)
    assert steps.publish(db, steps.claim(db, 1000), 1, 2, now=1001, last=True)
    place(output_dir / JOB, f"file{JOB}_var2.mp4")
    return db


def test_an_output_whose_file_is_missing_is_forgotten(
    published: Connection, store: LocalStore
) -> None:
    assert sweep.forget_missing(published, store, 2000) == 1
    assert [output.number for output in queries.outputs_of(published, JOB)] == [2]
    assert sweep.forget_missing(published, store, 2001) == 0
    removed = [each for each in events.events_of(published, JOB) if each.kind == "output.removed"]
    assert [(each.output_id, each.at) for each in removed] == [(f"file{JOB}.1", 2000)]


def test_a_job_without_its_whole_folder_keeps_its_outputs(
    published: Connection, store: LocalStore
) -> None:
    store.delete_job(JOB)
    assert sweep.forget_missing(published, store, 2000) == 0
    assert len(queries.outputs_of(published, JOB)) == 2


def test_nothing_is_recorded_of_an_output_that_went_with_its_job(
    published: Connection, store: LocalStore
) -> None:
    for root in store.roots:
        root.mark(published.value("SELECT value FROM meta WHERE name = 'database_id'"))
    delete = ChangingStore(store, lambda: retention.delete(published, store, JOB, 2000))
    assert sweep.forget_missing(published, delete, 2000) == 0
    assert not queries.has_jobs(published)
    assert events.events_of(published, JOB) == []


def test_an_output_that_two_sweeps_miss_is_recorded_once(
    published: Connection, store: LocalStore
) -> None:
    other = ChangingStore(store, lambda: sweep.forget_missing(published, store, 2000))
    assert sweep.forget_missing(published, other, 2001) == 0
    removed = [each.at for each in events.events_of(published, JOB) if "removed" in each.kind]
    assert removed == [2000]


# -- the same in a round of a worker ----------------------------------------------------------


def test_what_belongs_to_nobody_goes(site: Site, house: House) -> None:
    job, running = make_job(site.server), make_job(site.server, Clip(status="processing"))
    (site.upload_dir / f"{generate_id()}.mp4").write_bytes(b"x")
    (site.upload_dir / f"{generate_id()}.part").write_bytes(b"x")
    (site.output_dir / job.id / "not_listed.mp4").write_bytes(b"x")
    (site.output_dir / job.id / ".unknown.1").mkdir()
    gone = site.output_dir / ("g" * 22) / ".file.1"  # a worker had not noticed the removal
    gone.mkdir(parents=True)
    living = site.output_dir / running.id / "about_to_be_listed.mp4"
    living.write_bytes(b"x")
    house.after(0)
    assert living.exists()
    living.unlink()
    check_owned(site.server)


@pytest.mark.parametrize("name", ["lost+found", "notes.txt", ".snapshots"])
def test_what_is_none_of_ours_stays_in_output_dir(site: Site, house: House, name: str) -> None:
    (site.output_dir / name).mkdir()
    house.after(0)
    assert (site.output_dir / name).exists()


def test_an_output_whose_file_is_gone_is_no_longer_listed(site: Site, house: House) -> None:
    job = make_job(site.server, created_at=AT)
    job.paths[0].unlink()
    job.paths[0].with_suffix(".webp").unlink()
    house.after(0)
    outputs = site.show(job.id)["files"][0]["outputs"]
    assert [each["id"] for each in outputs] == job.outputs[1:]
    check_owned(site.server)


def test_outputs_stay_listed_while_their_whole_disk_is_away(site: Site, house: House) -> None:
    job = make_job(site.server, created_at=AT)
    aside = site.output_dir.with_name("aside")
    site.output_dir.rename(aside)
    site.output_dir.mkdir()  # the mount point
    house.after(0)
    site.output_dir.rmdir()
    aside.rename(site.output_dir)
    house.after(60)
    assert len(site.show(job.id)["files"][0]["outputs"]) == 2
    check_owned(site.server)
