"""Names of outputs, workshops, and what a sweep removes: exactly the leftovers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from jobserver.db import connect, initialise, transaction
from jobserver.jobs import output, store

# as long as real ids
JOB, TAKEN, CANCELLED = (name.ljust(22, "x") for name in ("job", "taken", "cancelled"))
FILE = {"id": "fileid", "job_id": JOB, "token": 3, "name": "clip.mp4"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    initialise(tmp_path / "db.sqlite3")
    with closing(connect(tmp_path / "db.sqlite3")) as db:
        yield db


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def queue(db: sqlite3.Connection, job_id: str) -> None:
    upload = store.Upload(f"file{job_id}", "clip.mp4", f"{job_id}.mp4", 1)
    store.insert_job(db, job_id, [upload], store.Order(2, "subtle", 0), 0, 1000)


def claim(db: sqlite3.Connection, now: float) -> sqlite3.Row:
    file = store.claim(db, "w", 30, now)
    assert file is not None
    return file


def publish(db: sqlite3.Connection, file: sqlite3.Row, name: str, last: bool) -> None:
    listed = store.Published(f"id of {name}", 1, name, 1, "0", 0, {}, 1.0, None, "")
    with transaction(db):
        assert store.let_go(db, file, 0.5, last, 1001)
        store.insert_outputs(db, file, [listed], 1001)


def place(folder: Path, *names: str) -> None:
    """Put files into a job's folder; a name with a slash is in a workshop."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("clip.mp4", "clip"),
        ("clip", "clip"),
        ("a.b.mp4", "a_b"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\a.mp4", "C_fakepath_a"),
        ("a\0b.mp4", "a_b"),
        ("a\r\nb.mp4", "a_b"),
        ("....", "video"),
        ("", "video"),
        ("/", "video"),
        (".hidden.mp4", "hidden"),
        ("-i.mp4", "i"),
        ("%d.mp4", "d"),
        ("\u202e\u0301", "video"),
        ("\udcff.mp4", "video"),
        ("x" * 300, "x" * 80),
    ],
)
def test_the_name_of_an_output_is_safe_whatever_the_client_sent(name: str, stem: str):
    file = {**FILE, "name": name}
    assert output.output_name(file, 2) == f"{stem}_var2_{output.output_id(file, 2)}.mp4"


def test_the_id_of_an_output_is_always_the_same_and_no_others():
    others = [{**FILE, "id": "other"}, FILE]
    ids = {output.output_id(file, number) for file in others for number in range(1, 21)}
    assert len(ids) == 40
    assert output.output_id(FILE, 1) == output.output_id({**FILE, "token": 9, "name": "x"}, 1)


def test_a_workshop_is_gone_afterwards_with_all_that_is_in_it(output_dir: Path):
    with suppress(OSError), output.workshop(output_dir, FILE) as folder:
        place(folder, "1.mp4", "2.mp4")
        raise OSError
    assert list((output_dir / JOB).iterdir()) == []


def test_a_new_claim_clears_the_workshops_of_those_before_it_and_no_other(output_dir: Path):
    job_folder = output_dir / JOB
    place(job_folder, ".fileid.1/1.mp4", ".fileid.2/1.mp4", ".other.1/1.mp4", "listed.mp4")
    with output.workshop(output_dir, FILE) as folder:
        place(folder, "1.mp4")
        assert found(job_folder) == {".fileid.3/1.mp4", ".other.1/1.mp4", "listed.mp4"}


def test_a_claim_that_comes_late_leaves_the_workshop_of_its_successor_alone(output_dir: Path):
    place(output_dir / JOB, ".fileid.4/1.mp4", ".fileid.10/1.mp4")
    with output.workshop(output_dir, FILE):
        pass
    assert found(output_dir / JOB) == {".fileid.4/1.mp4", ".fileid.10/1.mp4"}


def test_a_sweep_removes_what_no_row_lists_of_a_job_that_is_not_rendered(
    db: sqlite3.Connection, output_dir: Path
):
    queue(db, JOB)
    file = claim(db, 1000)
    publish(db, file, "listed.mp4", last=True)
    place(
        output_dir / JOB, "listed.mp4", "orphan.mp4", f".file{JOB}.1/1.mp4", f".file{JOB}.7/1.mp4"
    )
    assert output.sweep(db, output_dir) == 3
    assert found(output_dir) == {f"{JOB}/listed.mp4"}
    assert output.sweep(db, output_dir) == 0


def test_a_sweep_leaves_what_a_living_claim_makes(db: sqlite3.Connection, output_dir: Path):
    queue(db, JOB)
    claim(db, 0)  # by now past its lease, and still nobody else's
    renamed, mine, lost = "renamed.mp4", f".file{JOB}.1/1.mp4", f".file{JOB}.0/1.mp4"
    place(output_dir / JOB, renamed, mine, lost)
    assert output.sweep(db, output_dir) == 1
    assert found(output_dir / JOB) == {renamed, mine}


def test_a_sweep_removes_the_workshop_of_a_claim_that_lost_its_file(
    db: sqlite3.Connection, output_dir: Path
):
    queue(db, TAKEN)
    assert (claim(db, 1000)["token"], claim(db, 1031)["token"]) == (1, 2)
    queue(db, CANCELLED)
    assert claim(db, 1031)["token"] == 1
    assert store.cancel(db, CANCELLED, 1032) == 1
    place(output_dir / TAKEN, f".file{TAKEN}.1/1.mp4", f".file{TAKEN}.2/1.mp4")
    place(output_dir / CANCELLED, f".file{CANCELLED}.1/1.mp4", "renamed.mp4")
    assert output.sweep(db, output_dir) == 3
    assert found(output_dir) == {f"{TAKEN}/.file{TAKEN}.2/1.mp4"}


def test_a_sweep_leaves_the_folders_of_another_database_alone(
    db: sqlite3.Connection, output_dir: Path
):
    queue(db, JOB)
    place(output_dir / "stranger", "a.mp4", ".x.1/1.mp4")
    place(output_dir, "note.txt")
    assert output.sweep(db, output_dir) == 0
    assert found(output_dir) == {"stranger/a.mp4", "stranger/.x.1/1.mp4", "note.txt"}


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert output.sha256_of(path) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
