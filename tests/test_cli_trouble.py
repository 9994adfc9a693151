"""Whatever a command of an operator meets, it ends with one sentence and exit code 1."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from jobserver import create_app, db
from jobserver.files.root import OWNER_FILE
from jobserver.folders import prepare_folders
from jobserver.ids import generate_id
from jobserver.jobs import queue
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from tests.db.damage import (
    another_process,
    job_ids,
    make_corrupt_page,
    make_foreign,
    make_garbage,
    remove_database,
    replace_with,
)
from tests.disk import fill
from tests.files.marks import EACH_DAMAGED, replace
from tests.support import Server, settings_of

SWEEP = ("sweep", "--trust-clock")
COMMANDS = [
    ("jobs",),
    ("jobs", "--events", "none"),
    ("jobs", "show", "none"),
    ("jobs", "--json"),
    ("sweep", "--dry-run"),
    SWEEP,
    ("adopt",),
    ("worker",),
    ("init-db",),
]
EACH_COMMAND = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


@pytest.fixture(autouse=True)
def short_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes wait 0.05 s instead of 5."""
    monkeypatch.setattr(db.connect, "__defaults__", (0.05,))
    monkeypatch.setattr("jobserver.db.migrations.on_sqlite.LOCK_TIMEOUT_S", 0.05)


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def add_expired(app: Flask) -> None:
    """Take the folders, and add a job that a sweep would delete."""
    assert flask(app, "sweep").exit_code == 0
    with closing(db.connect(settings_of(app).database)) as database:
        files = [NewFile(generate_id(), "clip.mp4", f"{generate_id()}.mp4", 1)]
        with db.exclusive(database, "quota"):
            queue.insert_job(database, JobDraft("expired", files, JobOptions(5, "subtle", 7)), 0.0)
            database.write("UPDATE job_file SET status = 'failed'")


def check_sentence(result: Result, *named: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    *before, sentence = result.output.splitlines()
    assert sentence.startswith("Error: ")
    assert all(line.startswith("job ") for line in before)  # what a sweep is about to do
    assert "None" not in sentence
    for words in named:
        assert words in sentence


# -- the database -------------------------------------------------------------------------

LOST: dict[str, Callable[[Path], object]] = {
    "missing": remove_database,
    "garbage": replace_with(make_garbage),
    "another program's": replace_with(make_foreign),
    "a damaged page": replace_with(make_corrupt_page),
    "a folder": replace_with(Path.mkdir),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
@EACH_COMMAND
def test_a_database_that_cannot_be_used(
    app: Flask, words: tuple[str, ...], lose: Callable[[Path], object]
) -> None:
    lose(settings_of(app).database)
    if words == ("init-db",) and lose is remove_database:
        assert flask(app, *words).exit_code == 0
    else:
        check_sentence(flask(app, *words))


@EACH_COMMAND
def test_a_database_that_another_process_keeps_to_itself(
    app: Flask, words: tuple[str, ...]
) -> None:
    path = settings_of(app).database
    with another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        check_sentence(flask(app, *words), "locked")


@pytest.mark.parametrize("words", [SWEEP, ("init-db",)], ids=" ".join)
def test_a_database_that_another_process_writes(app: Flask, words: tuple[str, ...]) -> None:
    add_expired(app)
    path = settings_of(app).database
    with another_process(path, "BEGIN IMMEDIATE"):
        check_sentence(flask(app, *words), "locked")
    assert job_ids(path) == ["expired"]
    assert flask(app, *words).exit_code == 0


# -- the disk -----------------------------------------------------------------------------


@pytest.fixture
def app_on_disk(small_disk: Path) -> Flask:
    """An app that has everything on a small disk, with a job that has expired."""
    app = create_app(
        {
            "SECRET_KEY": "key for tests",
            "DATABASE": small_disk / "db.sqlite3",
            "UPLOAD_DIR": small_disk / "uploads",
            "OUTPUT_DIR": small_disk / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )
    prepare_folders(settings_of(app))
    db.initialise(settings_of(app).database)
    add_expired(app)
    return app


@pytest.mark.tools
@EACH_COMMAND
def test_a_full_disk_without_a_reserve(app_on_disk: Flask, words: tuple[str, ...]) -> None:
    path = settings_of(app_on_disk).database
    assert not path.with_name("db.sqlite3-reserve").exists()
    fill(path.with_name("filler"))
    check_sentence(flask(app_on_disk, *words), "disk")
    path.with_name("filler").unlink()
    assert job_ids(path) == ["expired"]


@pytest.mark.tools
def test_a_sweep_that_finds_no_space_any_more(app_on_disk: Flask) -> None:
    """Others have the database open, so it can be read; the log has no byte."""
    path = settings_of(app_on_disk).database
    with closing(db.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        fill(path.with_name("filler"))
        assert flask(app_on_disk, "jobs").exit_code == 0
        check_sentence(flask(app_on_disk, *SWEEP), "disk is full")
        path.with_name("filler").unlink()
        assert flask(app_on_disk, *SWEEP).exit_code == 0
    assert job_ids(path) == []


@pytest.mark.tools
def test_new_folders_on_a_full_disk_are_not_marked(app_on_disk: Flask) -> None:
    settings = settings_of(app_on_disk)
    with closing(db.connect(settings.database)) as database:
        with db.exclusive(database, "queue"):
            for table in ("job_file", "event", "job"):
                database.write(f"DELETE FROM {table}")  # noqa: S608
        (settings.upload_dir / OWNER_FILE).unlink()
        fill(settings.database.with_name("filler"))
        check_sentence(flask(app_on_disk, *SWEEP), "No space left on device")
        check_sentence(flask(app_on_disk, "adopt"), "No space left on device")
    assert list(settings.upload_dir.iterdir()) == []


# -- the folders --------------------------------------------------------------------------


@pytest.mark.parametrize("words", [SWEEP, ("sweep", "--dry-run")], ids=" ".join)
@pytest.mark.parametrize("folder", ["upload_dir", "output_dir"])
@EACH_DAMAGED
def test_a_damaged_mark(
    app: Flask, damage: Callable[[Path], object], folder: str, words: tuple[str, ...]
) -> None:
    add_expired(app)
    replace(getattr(settings_of(app), folder) / OWNER_FILE, damage)
    check_sentence(flask(app, *words), "; nothing is done")
    assert job_ids(settings_of(app).database) == ["expired"]


@pytest.mark.parametrize("make", [lambda path: None, Path.touch], ids=["missing", "a file"])
@pytest.mark.parametrize("words", [SWEEP, ("sweep", "--dry-run"), ("adopt",)], ids=" ".join)
def test_a_folder_that_is_none(
    app: Flask, words: tuple[str, ...], make: Callable[[Path], object]
) -> None:
    folder = settings_of(app).upload_dir
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    make(folder)
    check_sentence(flask(app, *words))


def test_a_terminal_shows_a_sentence_and_no_traceback(own_server: Server) -> None:
    assert own_server.init_db().returncode == 0
    own_server.settings["UPLOAD_DIR"] = os.devnull
    done = own_server.flask("adopt")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
