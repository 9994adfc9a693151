"""Health: alive and ready, or the reason why not, within a second; also never installed."""

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jobserver import prepare_serving
from jobserver.db import initialise, per_thread
from jobserver.files.root import OWNER_FILE
from jobserver.version import VERSION
from jobserver.web import health
from tests.db.damage import (
    PAGE_SIZE,
    another_process,
    make_corrupt_page,
    make_foreign,
    make_garbage,
    make_newer,
    make_without_version,
    overwrite,
    remove_database,
)
from tests.support import PASSWORD, PROJECT, Server, settings_of

KEYS = [
    *("status", "timestamp", "volumeMounted", "pythonVersion", "version", "uptime"),
    *("worker", "freeBytes"),
]


def health_of(app: Flask) -> tuple[int, Any]:
    """Return status and JSON; fail when they took a second."""
    start = time.monotonic()
    answer = app.test_client().get("/api/health")
    assert time.monotonic() - start < 1
    assert answer.content_type == "application/json"
    return answer.status_code, answer.json


def folder_of(app: Flask, setting: str) -> Path:
    """The folder that a setting names."""
    folder: Path = getattr(settings_of(app), setting.lower())
    return folder


def test_a_ready_server_says_ok_with_the_keys_of_the_contract(app: Flask) -> None:
    status, answer = health_of(app)
    assert status == 200
    assert list(answer) == KEYS
    assert answer["status"] == "ok"
    assert answer["volumeMounted"] is True
    assert answer["pythonVersion"] == platform.python_version()
    assert answer["version"] == VERSION
    assert type(answer["uptime"]) is int
    assert answer["uptime"] >= 0


def test_the_timestamp_is_now_in_utc(app: Flask) -> None:
    timestamp = health_of(app)[1]["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(timestamp)) < timedelta(seconds=5)


def test_the_uptime_counts_seconds_since_the_start(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_started", time.monotonic() - 4000.5)
    assert health_of(app)[1]["uptime"] == 4000


def test_health_needs_no_token_and_is_the_same_with_a_bad_one(server: Server) -> None:
    answers = [server.get("/api/health"), server.get("/api/health", "bad")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [list(answer.json)[: len(KEYS)] for answer in answers] == [KEYS, KEYS]


def test_a_missing_upload_dir_is_a_503_with_the_same_keys_and_the_reason(app: Flask) -> None:
    settings_of(app).upload_dir.rmdir()
    status, answer = health_of(app)
    assert status == 503
    assert list(answer) == [*KEYS, "error", "code"]
    assert answer["status"] == "error"
    assert answer["volumeMounted"] is False
    assert answer["error"] == "UPLOAD_DIR is missing or not writable"
    assert answer["code"] == "storage_unavailable"


def test_an_upload_dir_that_became_a_file_is_a_503(app: Flask) -> None:
    settings_of(app).upload_dir.rmdir()
    settings_of(app).upload_dir.touch(mode=0o600)
    status, answer = health_of(app)
    assert (status, answer["volumeMounted"]) == (503, False)


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_of_another_database_is_a_503_that_says_which(app: Flask, folder: str) -> None:
    (folder_of(app, folder) / OWNER_FILE).write_text("another")
    status, answer = health_of(app)
    assert status == 503
    assert list(answer) == [*KEYS, "error", "code"]
    assert answer["error"] == f"{folder} does not hold the files of this database; is it mounted?"


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_of_files_without_an_owner_is_a_503_and_an_empty_one_is_not(
    app: Flask, folder: str
) -> None:
    assert health_of(app)[0] == 200
    (folder_of(app, folder) / "somebody's.mp4").write_bytes(b"x")
    status, answer = health_of(app)
    assert (status, answer["error"][: len(folder)]) == (503, folder)


def test_a_database_made_anew_beside_the_files_of_the_old_one_is_a_503(app: Flask) -> None:
    prepare_serving(app)
    assert health_of(app)[0] == 200
    remove_database(settings_of(app).database)
    initialise(settings_of(app).database)
    status, answer = health_of(app)
    assert (status, answer["volumeMounted"]) == (503, True)
    assert answer["error"].startswith("UPLOAD_DIR does not hold the files of this database")


@pytest.mark.parametrize("replace", [lambda _: None, lambda path: path.touch()])
def test_an_output_dir_that_is_gone_is_a_503(app: Flask, replace: Callable[[Path], None]) -> None:
    settings_of(app).output_dir.rmdir()
    replace(settings_of(app).output_dir)
    status, answer = health_of(app)
    assert (status, answer["error"]) == (503, "OUTPUT_DIR is missing or cannot be read")


@pytest.mark.tools
def test_an_upload_dir_whose_disk_became_read_only_is_a_503(own_server: Server) -> None:
    own_server.upload_dir.mkdir()
    mount = 'mount -t tmpfs none "$UPLOAD_DIR" && exec "$@"'
    own_server.start("unshare", "--mount", "sh", "-c", mount, "sh")
    assert own_server.get("/api/health").status == 200
    assert own_server.process is not None
    enter = ["nsenter", f"--target={own_server.process.pid}", "--mount"]
    remount = ["mount", "-o", "remount,ro", str(own_server.upload_dir)]
    subprocess.run([*enter, *remount], check=True)
    answer = own_server.get("/api/health")
    assert (answer.status, answer.json["volumeMounted"]) == (503, False)
    assert answer.json["error"] == "UPLOAD_DIR is missing or not writable"


def damaged(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        remove_database(path)
        make(path)

    return damage


DAMAGE = {
    "missing": remove_database,
    "an empty file": damaged(Path.touch),
    "a folder": damaged(Path.mkdir),
    "garbage": damaged(make_garbage),
    "foreign": damaged(make_foreign),
    "of a newer version": damaged(make_newer),
    "without a version": damaged(make_without_version),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_database_that_does_not_answer_is_a_503_with_the_same_keys_and_the_reason(
    damage: Callable[[Path], None], app: Flask
) -> None:
    path = settings_of(app).database
    assert health_of(app)[0] == 200
    damage(path)
    status, answer = health_of(app)
    assert status == 503
    assert list(answer) == [*KEYS, "error", "code"]
    assert answer["status"] == "error"
    assert answer["volumeMounted"] is True
    assert answer["error"].startswith("The database does not answer: ")
    assert answer["code"] == "database_unavailable"
    assert str(path.parent) not in answer["error"]


def test_a_database_with_its_first_page_damaged_is_a_503(app: Flask) -> None:
    path = settings_of(app).database
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)
    assert health_of(app)[0] == 503


def test_health_asks_the_connection_that_its_thread_has(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health_of(app)[0] == 200
    monkeypatch.setattr(per_thread, "connect", None)
    monkeypatch.setattr(sqlite3, "connect", None)
    assert health_of(app)[0] == 200


def test_a_damaged_first_page_is_a_503_also_when_the_thread_has_read_it_before(
    app: Flask,
) -> None:
    path = settings_of(app).database
    assert health_of(app)[0] == 200
    overwrite(path, 0, b"\xff" * PAGE_SIZE)
    assert health_of(app)[0] == 503


def test_health_does_not_make_a_missing_database(app: Flask) -> None:
    remove_database(settings_of(app).database)
    health_of(app)
    assert not settings_of(app).database.exists()


def test_health_recovers_with_what_it_looks_at(app: Flask) -> None:
    settings_of(app).upload_dir.rmdir()
    assert health_of(app)[0] == 503
    settings_of(app).upload_dir.mkdir()
    assert health_of(app)[0] == 200


def test_health_is_ok_within_a_second_while_another_process_writes(app: Flask) -> None:
    with another_process(settings_of(app).database, "BEGIN IMMEDIATE"):
        assert health_of(app)[0] == 200


def test_health_is_ok_within_a_second_while_another_process_holds_an_exclusive_transaction(
    app: Flask,
) -> None:
    with another_process(settings_of(app).database, "BEGIN EXCLUSIVE"):
        assert health_of(app)[0] == 200


def test_health_is_a_503_within_a_second_while_another_process_keeps_the_database_to_itself(
    app: Flask,
) -> None:
    path = settings_of(app).database
    with another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        status, answer = health_of(app)
    assert (status, answer["status"]) == (503, "error")
    assert "locked" in answer["error"]
    assert health_of(app)[0] == 200


def test_health_of_a_large_damaged_database_takes_no_longer(app: Flask) -> None:
    path = settings_of(app).database
    remove_database(path)
    make_corrupt_page(path)
    health_of(app)


def test_the_real_server_is_ready_within_a_second(server: Server) -> None:
    start = time.monotonic()
    assert server.get("/api/health").status == 200
    assert time.monotonic() - start < 1


# -- a checkout that was never installed ------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what runs the server, without what `pip install` leaves beside it."""
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "jobserver", folder / "jobserver", ignore=ignored)
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.fixture
def dependencies(tmp_path: Path) -> Path:
    """Links to all that pip installed here but jobserver itself."""
    folder = tmp_path / "dependencies"
    folder.mkdir()
    for site_packages in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(site_packages).iterdir():
            if "jobserver" not in path.name:
                (folder / path.name).symlink_to(path)
    return folder


def test_health_answers_from_a_checkout_that_was_never_installed(
    checkout: Path, dependencies: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{checkout}:{dependencies}",
        "AUTH_PASSWORD": PASSWORD,
        "MIN_FREE_SPACE": "0",
    }

    def run(*words: str) -> str:
        """Run Python without its own site-packages."""
        done = subprocess.run(
            [sys.executable, "-S", *words],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    asks = """if True:
        import importlib.metadata
        from wsgi import app
        try:
            installed = importlib.metadata.version("jobserver")
        except importlib.metadata.PackageNotFoundError:
            installed = None
        answer = app.test_client().get("/api/health")
        import json
        print(json.dumps([installed, answer.status_code, answer.json]))"""
    run("-m", "flask", "--app", "wsgi", "init-db")
    installed, status, answer = json.loads(run("-c", asks))
    assert installed is None
    assert (status, answer["status"], answer["version"]) == (200, "ok", VERSION)
    run("-m", "gunicorn", "--check-config", "wsgi:app")
