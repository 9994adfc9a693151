"""Health: alive and ready, or the reason why not, within a second."""

import platform
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jobserver import health, prepare_serving
from jobserver.db import initialise
from jobserver.jobs.expiry import OWNER_FILE
from tests.support import Server
from tests.test_db import (
    another_process,
    make_corrupt_page,
    make_foreign,
    make_garbage,
    remove_database,
)

KEYS = ["status", "timestamp", "volumeMounted", "pythonVersion", "version", "uptime"]


def asked(app: Flask) -> tuple[int, Any]:
    """Return status and JSON; fail when they took a second."""
    start = time.monotonic()
    answer = app.test_client().get("/api/health")
    assert time.monotonic() - start < 1
    assert answer.content_type == "application/json"
    return answer.status_code, answer.json


def test_a_ready_server_says_ok_with_the_keys_of_the_contract(app: Flask) -> None:
    status, told = asked(app)
    assert status == 200
    assert list(told) == KEYS
    assert told["status"] == "ok"
    assert told["volumeMounted"] is True
    assert told["pythonVersion"] == platform.python_version()
    assert told["version"] == version("jobserver")
    assert type(told["uptime"]) is int
    assert told["uptime"] >= 0


def test_the_timestamp_is_now_in_utc(app: Flask) -> None:
    timestamp = asked(app)[1]["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(timestamp)) < timedelta(seconds=5)


def test_the_uptime_counts_seconds_since_the_start(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_started", time.monotonic() - 4000.5)
    assert asked(app)[1]["uptime"] == 4000


def test_health_needs_no_token_and_is_the_same_with_a_bad_one(server: Server) -> None:
    answers = [server.get("/api/health"), server.get("/api/health", "bad")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [list(answer.json) for answer in answers] == [KEYS, KEYS]


def test_a_missing_upload_dir_is_a_503_with_the_same_keys_and_the_reason(app: Flask) -> None:
    app.config["UPLOAD_DIR"].rmdir()
    status, told = asked(app)
    assert status == 503
    assert list(told) == [*KEYS, "error"]
    assert told["status"] == "error"
    assert told["volumeMounted"] is False
    assert told["error"] == "UPLOAD_DIR is missing or not writable"


def test_an_upload_dir_that_became_a_file_is_a_503(app: Flask) -> None:
    app.config["UPLOAD_DIR"].rmdir()
    app.config["UPLOAD_DIR"].touch(mode=0o600)
    status, told = asked(app)
    assert (status, told["volumeMounted"]) == (503, False)


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_of_another_database_is_a_503_that_says_which(app: Flask, folder: str) -> None:
    (app.config[folder] / OWNER_FILE).write_text("another")
    status, told = asked(app)
    assert status == 503
    assert list(told) == [*KEYS, "error"]
    assert told["error"] == f"{folder} does not hold the files of this database; is it mounted?"


@pytest.mark.parametrize("folder", ["UPLOAD_DIR", "OUTPUT_DIR"])
def test_a_folder_whose_mark_was_lost_is_a_503_and_an_empty_one_is_not(
    app: Flask, folder: str
) -> None:
    assert asked(app)[0] == 200
    (app.config[folder] / "somebody's.mp4").write_bytes(b"x")
    status, told = asked(app)
    assert (status, told["error"][: len(folder)]) == (503, folder)


def test_a_database_made_anew_beside_the_files_of_the_old_one_is_a_503(app: Flask) -> None:
    prepare_serving(app)
    assert asked(app)[0] == 200
    remove_database(app.config["DATABASE"])
    initialise(app.config["DATABASE"])
    status, told = asked(app)
    assert (status, told["volumeMounted"]) == (503, True)
    assert told["error"].startswith("UPLOAD_DIR does not hold the files of this database")


@pytest.mark.parametrize("replace", [lambda _: None, lambda path: path.touch()])
def test_an_output_dir_that_is_gone_is_a_503(app: Flask, replace: Callable[[Path], None]) -> None:
    app.config["OUTPUT_DIR"].rmdir()
    replace(app.config["OUTPUT_DIR"])
    status, told = asked(app)
    assert (status, told["error"]) == (503, "OUTPUT_DIR is missing or cannot be read")


@pytest.mark.tools
def test_an_upload_dir_whose_disk_became_read_only_is_a_503(own_server: Server) -> None:
    own_server.upload_dir.mkdir()
    mount = 'mount -t tmpfs none "$UPLOAD_DIR" && exec "$@"'
    own_server.start("unshare", "--mount", "sh", "-c", mount, "sh")
    assert own_server.get("/api/health").status == 200
    assert own_server.process is not None
    inside = ["nsenter", f"--target={own_server.process.pid}", "--mount"]
    remount = ["mount", "-o", "remount,ro", str(own_server.upload_dir)]
    subprocess.run([*inside, *remount], check=True)
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
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_database_that_does_not_answer_is_a_503_with_the_same_keys_and_the_reason(
    damage: Callable[[Path], None], app: Flask
) -> None:
    path = app.config["DATABASE"]
    assert asked(app)[0] == 200
    damage(path)
    status, told = asked(app)
    assert status == 503
    assert list(told) == [*KEYS, "error"]
    assert told["status"] == "error"
    assert told["volumeMounted"] is True
    assert told["error"].startswith("The database does not answer: ")
    assert str(path.parent) not in told["error"]


def test_a_database_with_its_first_page_damaged_is_a_503(app: Flask) -> None:
    path = app.config["DATABASE"]
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)
    assert asked(app)[0] == 503


def test_health_does_not_make_a_missing_database(app: Flask) -> None:
    remove_database(app.config["DATABASE"])
    asked(app)
    assert not app.config["DATABASE"].exists()


def test_health_recovers_with_what_it_looks_at(app: Flask) -> None:
    app.config["UPLOAD_DIR"].rmdir()
    assert asked(app)[0] == 503
    app.config["UPLOAD_DIR"].mkdir()
    assert asked(app)[0] == 200


def test_health_is_ok_within_a_second_while_another_process_writes(app: Flask) -> None:
    with another_process(app.config["DATABASE"], "BEGIN IMMEDIATE"):
        assert asked(app)[0] == 200


def test_health_is_ok_within_a_second_while_another_process_holds_an_exclusive_transaction(
    app: Flask,
) -> None:
    with another_process(app.config["DATABASE"], "BEGIN EXCLUSIVE"):
        assert asked(app)[0] == 200


def test_health_is_a_503_within_a_second_while_another_process_keeps_the_database_to_itself(
    app: Flask,
) -> None:
    path = app.config["DATABASE"]
    with another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        status, told = asked(app)
    assert (status, told["status"]) == (503, "error")
    assert "locked" in told["error"]
    assert asked(app)[0] == 200


def test_health_of_a_large_damaged_database_takes_no_longer(app: Flask) -> None:
    path = app.config["DATABASE"]
    remove_database(path)
    make_corrupt_page(path)
    asked(app)


def test_the_real_server_is_ready_within_a_second(server: Server) -> None:
    start = time.monotonic()
    assert server.get("/api/health").status == 200
    assert time.monotonic() - start < 1
