"""Requests while the database is locked, lost or exchanged: a 503, and no file is kept."""

import io
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobserver import db, prepare_serving
from jobserver.ids import generate_id
from jobserver.web.context import get_db
from tests.db.damage import (
    add_job,
    another_process,
    job_ids,
    make_corrupt_page,
    make_foreign,
    make_garbage,
    remove_database,
    replace_with,
    serving_app,
)
from tests.support import MP4_HEAD, PASSWORD, Server, settings_of, wait_for


@pytest.fixture
def client(app: Flask, token: str) -> FlaskClient:
    """A client whose thread has already asked the database something."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert client.get("/api/jobs").status_code == 200
    return client


def upload(client: FlaskClient) -> Any:
    video = (io.BytesIO(MP4_HEAD * 100), "clip.mp4", "video/mp4")
    return client.post("/api/jobs", data={"videos": video})


def kept_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".database"}


# -- one connection a thread --------------------------------------------------------------


def test_a_request_that_leaves_a_transaction_open_does_not_lock_others_out(app: Flask) -> None:
    path = settings_of(app).database
    with app.app_context():
        get_db().execute("BEGIN IMMEDIATE")
        add_job(get_db(), "undone")
    with closing(db.connect(path, 0.05)) as other:
        add_job(other, "other")
    assert job_ids(path) == ["other"]


def test_requests_of_one_thread_share_a_connection_and_threads_do_not(app: Flask) -> None:
    connections: list[sqlite3.Connection] = []

    def ask() -> None:
        with app.app_context():
            assert get_db() is get_db()
            connections.append(get_db())

    ask()
    ask()
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert connections[0] is connections[1]
    assert connections[0] is not connections[2]


# -- locked -------------------------------------------------------------------------------


@pytest.fixture
def short_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes wait 0.1 s instead of 5."""
    monkeypatch.setattr(db.connect, "__defaults__", (0.1,))


def test_an_upload_while_another_process_keeps_the_write_lock_is_a_503_and_leaves_nothing(
    short_lock_timeout: None, app: Flask, client: FlaskClient
) -> None:
    settings = settings_of(app)
    with another_process(settings.database, "BEGIN IMMEDIATE"):
        answer = upload(client)
        assert answer.status_code == 503
        assert answer.json == {"error": "The database is busy; try again", "code": "database_busy"}
        assert int(answer.headers["Retry-After"]) > 0
        assert kept_names(settings.upload_dir) == set()
        assert client.get("/api/jobs").json == []
        assert client.get("/api/health").status_code == 200
        assert client.get("/api/jobs/none").status_code == 404
        signed = client.post("/api/auth", json={"password": PASSWORD})
        assert (signed.status_code, "Retry-After" in signed.headers) == (503, True)
    assert job_ids(settings.database) == []
    assert upload(client).status_code == 202


def test_an_upload_waits_for_a_write_that_ends_in_time(app: Flask, client: FlaskClient) -> None:
    settings = settings_of(app)
    with ThreadPoolExecutor(1) as thread:
        with another_process(settings.database, "BEGIN IMMEDIATE"):
            answer = thread.submit(upload, client)
            # once the file has its final name, the next step is the lock
            wait_for(lambda: any(n.endswith(".mp4") for n in kept_names(settings.upload_dir)))
            assert not answer.done()
        assert answer.result().status_code == 202


def test_a_database_that_another_process_keeps_to_itself_is_a_503_with_retry_after(
    short_lock_timeout: None, app: Flask, token: str
) -> None:
    path = settings_of(app).database.with_name("other.sqlite3")  # no thread has opened it
    elsewhere = serving_app(path)
    db.initialise(path)
    with another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        answer = elsewhere.test_client().get(
            "/api/jobs", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0


# -- damaged ------------------------------------------------------------------------------


@pytest.mark.parametrize("make_unusable", [make_garbage, make_corrupt_page])
def test_gunicorn_does_not_start_on_a_damaged_database_and_changes_no_byte(
    make_unusable: Callable[[Path], None], own_server: Server
) -> None:
    make_unusable(own_server.database)
    before = own_server.database.read_bytes()
    own_server.launch()
    assert own_server.process is not None
    assert own_server.process.wait(20) not in (0, None)
    assert own_server.log().startswith(f"jobserver: The database {own_server.database} cannot be")
    assert len(own_server.log().splitlines()) == 1
    assert own_server.database.read_bytes() == before


# -- lost or exchanged ----------------------------------------------------------------------

LOST = {
    "deleted": remove_database,
    "deleted without its log": lambda path: path.unlink(),
    "replaced by an empty file": replace_with(Path.touch),
    "replaced by garbage": replace_with(make_garbage),
    "replaced by a foreign database": replace_with(make_foreign),
    "replaced by a folder": replace_with(Path.mkdir),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_requests_after_the_database_was_lost_are_a_503_and_keep_no_file(
    lose: Callable[[Path], None], app: Flask, client: FlaskClient
) -> None:
    first = upload(client).json["files"][0]["id"]
    lose(settings_of(app).database)
    answers = {
        "upload": upload(client),
        "list": client.get("/api/jobs"),
        "sign in": client.post("/api/auth", json={"password": PASSWORD}),
        "health": client.get("/api/health"),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        answers, 503
    )
    assert kept_names(settings_of(app).upload_dir) == {f"{first}.mp4"}


def test_a_server_whose_database_was_made_anew_waits_until_it_adopts_the_folders(
    own_server: Server,
) -> None:
    own_server.start()
    old = own_server.upload(MP4_HEAD).json["jobId"]
    remove_database(own_server.database)
    lost = [own_server.upload(MP4_HEAD) for _ in range(4)]
    assert {answer.status for answer in lost} == {503}
    assert own_server.get("/api/health").status == 503
    assert len(own_server.uploads()) == 1
    own_server.init_db()
    assert {own_server.upload(MP4_HEAD).status for _ in range(4)} == {503}  # not its folders
    adopted = own_server.flask("adopt")
    assert (adopted.returncode, len(adopted.stdout.splitlines())) == (0, 2)
    assert own_server.get("/api/health").status == 200
    assert {own_server.upload(MP4_HEAD).status for _ in range(4)} == {202}
    assert own_server.get(f"/api/jobs/{old}", own_server.token).status == 404
    assert len(own_server.rows("SELECT id FROM job")) == 4


def test_a_restart_after_the_database_was_made_anew_removes_no_upload_and_says_why(
    own_server: Server,
) -> None:
    own_server.start()
    own_server.upload(MP4_HEAD)
    before = own_server.uploads()
    assert len(before) == 1
    own_server.stop()
    remove_database(own_server.database)
    own_server.start()
    assert own_server.uploads() == before
    assert "UPLOAD_DIR does not hold the files of this database" in own_server.log()


@pytest.mark.parametrize("lose", [remove_database, lambda path: path.write_bytes(b"")])
def test_the_start_on_a_new_database_removes_no_upload_of_the_old_one(
    lose: Callable[[Path], object],
    app: Flask,
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = settings_of(app)
    prepare_serving(app)
    upload(client)
    before = kept_names(settings.upload_dir)
    assert len(before) == 1
    remove_database(settings.database)
    lose(settings.database)
    db.initialise(settings.database)
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            prepare_serving(app)
        said = "does not hold the files of this database; nothing is removed"
        assert caplog.text.count(said) == 2  # once for each folder
        assert kept_names(settings.upload_dir) == before


def test_the_start_on_the_folder_of_another_database_removes_nothing(
    app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_serving(app)
    orphan = settings_of(app).upload_dir / f"{generate_id()}.mp4"
    orphan.touch()
    other = serving_app(tmp_path / "other.sqlite3")  # the same UPLOAD_DIR
    db.initialise(settings_of(other).database)
    with caplog.at_level(logging.WARNING):
        prepare_serving(other)
    assert orphan.exists()
    assert "UPLOAD_DIR does not hold the files of this database" in caplog.text
    prepare_serving(app)
    assert not orphan.exists()  # as it is its own folder, the sweep works


def test_the_start_on_a_folder_with_files_and_without_an_owner_removes_nothing(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    upload_dir = settings_of(app).upload_dir
    (upload_dir / "precious.mp4").touch()
    with caplog.at_level(logging.WARNING):
        prepare_serving(app)
    assert kept_names(upload_dir) == {"precious.mp4"}
    assert "nothing is removed" in caplog.text
