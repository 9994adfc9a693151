"""What an operator types in a terminal: jobs, sweep, adopt, and which commands make folders."""

import hashlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from jobserver import create_app, prepare_serving
from jobserver.db import ClockNote, exclusive, note_clock
from jobserver.files.root import OWNER_FILE
from jobserver.ids import generate_id
from jobserver.jobs import retention
from jobserver.worker.render_thread import RenderThread
from tests.results import Clip, check_owned, ids, make_job
from tests.support import BIN, PROJECT, Server, Site, wait_for

DAY = 24 * 3600.0
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def everything(site: Site) -> dict[str, str]:
    """All files by path and content, and all rows of all tables."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for folder in (site.upload_dir, site.output_dir)
        for path in folder.rglob("*")
    }
    tables = [name for (name,) in site.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: str(site.rows(f"SELECT * FROM {name}")) for name in tables}  # noqa: S608
    return files | rows


def make_leftovers(site: Site) -> list[str]:
    """Make one of each thing that a sweep removes; return the ids and keys that name them."""
    expired = make_job(site.server, created_at=time.time() - 2 * DAY)
    marked, kept = make_job(site.server), make_job(site.server)
    with closing(site.connect()) as db, exclusive(db, "queue"):
        retention.mark(db, [marked.id], time.time())
    orphan = site.upload_dir / f"{generate_id()}.mp4"
    orphan.write_bytes(b"x")
    scratch = site.output_dir / kept.id / ".file.1"
    scratch.mkdir()
    return [expired.id, marked.id, f"uploads/{orphan.name}", f"outputs/{kept.id}/.file.1"]


# -- flask jobs --events ------------------------------------------------------


def test_flask_jobs_prints_the_events_of_one_job(
    site: Site, render_thread: RenderThread, clip: bytes
):
    other = site.upload(clip)
    site.post_action(other, "cancel")
    job_id = site.upload(clip, bytes(99), variations="1")
    while render_thread.work_once():
        pass
    video, zeros = (file["id"] for file in site.show(job_id)["files"])
    (output,) = site.show(job_id)["files"][0]["outputs"]
    result = flask(site.app, "jobs", "--events", job_id)
    assert result.exit_code == 0, result.output
    events = [line.split(maxsplit=3) for line in result.output.splitlines()]
    assert all(re.fullmatch(TIME, at) for at, *_ in events)
    assert [at for at, *_ in events] == sorted(at for at, *_ in events)
    assert [tuple(words) for _, *words in events] == [
        ("file.queued", video),
        ("file.queued", zeros),
        ("job.queued", job_id),
        ("file.processing", video),
        ("job.processing", job_id),
        ("output.ready", output["id"]),
        ("file.completed", video),
        ("file.processing", zeros),
        ("file.failed", zeros, '{"error": "This file is not an MP4 video."}'),
        ("job.completed", job_id),
    ]


def test_flask_jobs_of_an_unknown_job_is_one_sentence(site: Site):
    make_job(site.server)
    result = flask(site.app, "jobs", "--events", "nobody")
    assert result.exit_code == 1
    assert result.output == "Error: There is no job nobody, or nothing is recorded of it\n"


# -- flask sweep --------------------------------------------------------------


def test_a_dry_run_gives_reasons_and_changes_nothing(site: Site):
    named = make_leftovers(site)
    site.change_settings(storage_quota=1)
    before = everything(site)
    result = flask(site.app, "sweep", "--dry-run")
    assert result.exit_code == 0, result.output
    for name in named:
        assert name in result.output
    for reason in ("expired", "over the quota", "half removed", "belongs to no job"):
        assert reason in result.output
    assert "Removed" not in result.output
    assert everything(site) == before


def test_a_dry_run_in_new_folders_does_not_even_mark_them(site: Site):
    owner_files = [folder / OWNER_FILE for folder in (site.upload_dir, site.output_dir)]
    for path in owner_files:
        path.unlink()
    assert flask(site.app, "sweep", "--dry-run").exit_code == 0
    assert not any(path.exists() for path in owner_files)
    assert flask(site.app, "sweep").exit_code == 0
    assert all(path.exists() for path in owner_files)


def test_a_sweep_does_what_its_dry_run_said(site: Site):
    named = make_leftovers(site)
    announced = flask(site.app, "sweep", "--dry-run").output
    result = flask(site.app, "sweep")
    assert result.output.startswith(announced)
    assert "Removed 2 jobs and 2 leftovers." in result.output
    check_owned(site.server)
    assert not ids(site.server) & set(named)
    assert flask(site.app, "sweep").output == "Removed 0 jobs and 0 leftovers.\n"


def test_a_sweep_evicts_what_is_over_the_quota_and_no_more(site: Site):
    jobs = [make_job(site.server, Clip(outputs=[], size=1000)) for _ in range(4)]
    site.change_settings(storage_quota=2500)
    assert "Removed 2 jobs" in flask(site.app, "sweep").output
    assert ids(site.server) == {jobs[2].id, jobs[3].id}
    check_owned(site.server)


def test_a_sweep_after_a_jump_of_the_clock_expires_nothing_unless_the_clock_is_trusted(site: Site):
    now = time.time()
    job = make_job(site.server, created_at=now - 400 * DAY)
    with closing(site.connect()) as db, exclusive(db, "housekeeping"):
        note_clock(db, ClockNote(now - 2 * 3600, now - 2 * 3600))
    kept = flask(site.app, "sweep")
    assert "The clock may have jumped: 1 jobs stay (--trust-clock)" in kept.output
    assert ids(site.server) == {job.id}
    assert "Removed 1 jobs" in flask(site.app, "sweep", "--trust-clock").output
    assert ids(site.server) == set()
    check_owned(site.server)


@pytest.mark.parametrize("words", [("sweep",), ("sweep", "--dry-run")])
@pytest.mark.parametrize("folder", ["upload_dir", "output_dir"])
def test_a_sweep_of_the_folder_of_another_database_is_refused(
    site: Site, folder: str, words: tuple[str, ...]
):
    make_leftovers(site)
    (getattr(site, folder) / OWNER_FILE).write_text("another")
    before = everything(site)
    result = flask(site.app, *words)
    assert result.exit_code == 1
    name = folder.upper()
    assert f"{name} does not hold the files of this database; nothing is done" in result.output
    assert everything(site) == before


@pytest.mark.parametrize("words", [("sweep",), ("sweep", "--dry-run"), ("adopt",)])
@pytest.mark.parametrize("folder", ["upload_dir", "output_dir"])
def test_a_missing_folder_is_one_sentence_and_is_not_made(
    site: Site, folder: str, words: tuple[str, ...]
):
    make_leftovers(site)
    missing = getattr(site, folder)
    away = missing.rename(missing.with_name("away"))
    result = flask(site.app, *words)
    assert (result.exit_code, missing.exists()) == (1, False)
    sentence = f"Error: {folder.upper()} is missing or cannot be read"
    assert result.output.splitlines()[-1].startswith(sentence)
    assert "is this database's now" not in result.output
    away.rename(missing)
    assert "Removed 2 jobs and 2 leftovers." in flask(site.app, "sweep").output


# -- flask adopt --------------------------------------------------------------


def test_adopt_makes_the_folders_of_another_database_this_ones(site: Site):
    named = make_leftovers(site)
    owners = {}
    for folder in (site.upload_dir, site.output_dir):
        owners[folder] = (folder / OWNER_FILE).read_text()
        (folder / OWNER_FILE).write_text("another")
    before = everything(site)
    result = flask(site.app, "adopt")
    assert result.output == (
        "UPLOAD_DIR is this database's now.\nOUTPUT_DIR is this database's now.\n"
    )
    assert {folder: (folder / OWNER_FILE).read_text() for folder in owners} == owners
    assert everything(site).keys() == before.keys()  # nothing is removed
    result = flask(site.app, "sweep")
    assert "Removed 2 jobs and 2 leftovers." in result.output
    assert all(name in result.output for name in named)


# -- what is there before and after a command ---------------------------------


@pytest.mark.parametrize("words", [("sweep",), ("jobs",), ("adopt",)])
def test_a_missing_database_is_one_sentence(site: Site, words: tuple[str, ...]):
    for path in site.server.folder.glob("db.sqlite3*"):
        path.unlink()
    result = flask(site.app, *words)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("Error: ")
    assert not site.server.database.exists()


@pytest.fixture
def new_app(tmp_path: Path) -> Flask:
    """An app whose folders, and whose database's folder, do not exist yet."""
    return create_app(
        {
            "AUTH_PASSWORD": "correct horse",
            "SECRET_KEY": "key for tests",
            "DATABASE": tmp_path / "data" / "db.sqlite3",
            "UPLOAD_DIR": tmp_path / "files" / "uploads",
            "OUTPUT_DIR": tmp_path / "files" / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )


@pytest.mark.parametrize(
    "words",
    [("jobs",), ("jobs", "--events", "x"), ("sweep",), ("sweep", "--dry-run"), ("adopt",)],
    ids=" ".join,
)
def test_a_command_that_only_looks_makes_no_folder(
    new_app: Flask, tmp_path: Path, words: tuple[str, ...]
):
    assert flask(new_app, *words).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_flask_jobs_and_a_dry_run_beside_a_database_alone_make_no_folder(
    new_app: Flask, tmp_path: Path
):
    assert flask(new_app, "init-db").exit_code == 0
    shutil.rmtree(tmp_path / "files")
    assert flask(new_app, "jobs").exit_code == 0
    assert flask(new_app, "sweep", "--dry-run").exit_code == 1
    assert not (tmp_path / "files").exists()


def test_init_db_makes_the_folders(new_app: Flask, tmp_path: Path):
    result = flask(new_app, "init-db")
    path = tmp_path / "data" / "db.sqlite3"
    assert re.fullmatch(rf"The database {path} has version \d+\.\n", result.output)
    assert path.is_file()
    assert {each.name for each in (tmp_path / "files").iterdir()} == {"uploads", "outputs"}


def test_serving_makes_the_folders(new_app: Flask, tmp_path: Path):
    assert flask(new_app, "init-db").exit_code == 0
    shutil.rmtree(tmp_path / "files")
    prepare_serving(new_app)
    for name in ("uploads", "outputs"):
        assert (tmp_path / "files" / name / OWNER_FILE).is_file()


@pytest.fixture
def flask_worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`flask worker` on a database whose folders have been removed."""
    server = Server(tmp_path, WORKERS="1")
    assert server.init_db().returncode == 0
    for folder in (server.upload_dir, Path(server.settings["OUTPUT_DIR"])):
        folder.rmdir()
    command = [BIN / "flask", "--app", "wsgi", "worker"]
    with server.log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=server.environment, stderr=log)
    yield process
    process.kill()
    process.wait(10)


def test_a_worker_makes_the_folders(flask_worker: subprocess.Popen[bytes], tmp_path: Path):
    marks = [tmp_path / name / OWNER_FILE for name in ("uploads", "outputs")]
    wait_for(lambda: all(mark.is_file() for mark in marks), 20, "both folders")
    flask_worker.send_signal(signal.SIGTERM)
    assert flask_worker.wait(20) == 0


def test_a_worker_says_each_thing_once_with_its_time_and_process(
    flask_worker: subprocess.Popen[bytes], tmp_path: Path
):
    log = tmp_path / "log"
    wait_for(lambda: "started" in log.read_text(), 20, "a worker")
    flask_worker.send_signal(signal.SIGTERM)
    assert flask_worker.wait(20) == 0
    lines = log.read_text().splitlines()
    begin = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[{flask_worker.pid}\] \[INFO\] worker "
    assert all(re.match(begin, line) for line in lines), lines
    assert [line.split(": ")[1] for line in lines] == ["started, WORKERS=1", "stopping", "stopped"]


@pytest.mark.parametrize("command", ["init-db", "worker"])
def test_a_folder_that_cannot_be_made_is_one_sentence(new_app: Flask, tmp_path: Path, command: str):
    (tmp_path / "files").write_text("in the way")
    result = flask(new_app, command)
    assert result.exit_code == 1
    assert re.fullmatch("Error: UPLOAD_DIR cannot be used: .*\n", result.output)


def test_the_commands_are_there_in_a_terminal(site: Site):
    job = make_job(site.server)
    done = site.server.flask("jobs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(job.id)
    done = site.server.flask("sweep", "--dry-run")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
