"""Logs of programs: a JSON object a line, of requests, renders and faults; no secret in any."""

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from jobserver import logs
from tests.support import PASSWORD, PROJECT, Server, file_part, form, wait_for


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def talking(own_server: Server) -> Server:
    """A server with the default format, whose log is no terminal."""
    del own_server.settings["LOG_FORMAT"]
    own_server.settings["ENCODER_PRESET"] = "ultrafast"
    return own_server.start()


def test_a_job_is_followed_by_its_id_from_upload_to_download(talking: Server, clip: bytes) -> None:
    body = form(file_part(clip), file_part(b"\x00\x00\x00\x18ftypisom" + bytes(900), "b.mp4"))
    job_id = talking.post(body).json["jobId"]
    done = talking.flask("worker", "--once")
    assert done.returncode == 0, done.stderr
    job = talking.get(f"/api/jobs/{job_id}", talking.token).json
    output = job["files"][0]["outputs"][0]
    answer = talking.request("GET", output["url"])
    wait_for(lambda: answer.headers["X-Request-ID"] in talking.log(), 5, "the last line")

    requests = [line for line in lines_of(talking.log()) if line["message"] == "request"]
    (shown,) = [line for line in requests if line["path"] == f"/api/jobs/{job_id}"]
    assert (shown["route"], shown["job"], shown["status"]) == ("/api/jobs/<job_id>", job_id, 200)
    sent = requests[-1]
    assert sent["request"] == answer.headers["X-Request-ID"]
    assert sent["route"] == "/api/jobs/<job_id>/outputs/<output_id>"
    assert sent["bytes"] >= len(answer.body)
    assert 0 <= sent["seconds"] < 60
    assert sent["time"].endswith("Z")

    worker = lines_of(done.stderr)
    good, bad = (file["id"] for file in job["files"])
    of_good = [line for line in worker if line.get("file") == good]
    words = [line["message"].split(": ")[1].split()[0].strip(",") for line in of_good]
    assert words == ["claimed", "rendered", "published"]
    assert {line["job"] for line in of_good} == {job_id}
    assert (of_good[1]["outputs"], of_good[1]["frames"]) == (5, 5 * 13)
    of_bad = [line for line in worker if line.get("file") == bad]
    assert of_bad[-1]["reason"] == "This video is cut off: part of the file is missing."


def test_no_line_has_a_secret_a_token_a_signed_link_or_a_query(
    talking: Server, clip: bytes
) -> None:
    job_id = talking.upload(clip).json["jobId"]
    talking.sign_in("wr0ng password")
    assert talking.flask("worker", "--once").returncode == 0
    job = talking.get(f"/api/jobs/{job_id}", talking.token).json
    url = job["files"][0]["outputs"][0]["url"]
    talking.request("GET", url)
    last = talking.get("/api/jobs?q=secret-words", talking.token).headers["X-Request-ID"]
    wait_for(lambda: last in talking.log(), 5, "the last line")
    log = talking.log()
    signature = url.partition("signature=")[2]
    assert len(signature) > 10
    for secret in (PASSWORD, "wr0ng", talking.token, signature, "secret-words", "key for tests"):
        assert secret not in log


def test_without_a_terminal_every_line_of_a_start_and_a_stop_is_json(talking: Server) -> None:
    talking.stop()
    messages = [line["message"] for line in lines_of(talking.log())]
    assert any(message.startswith("Booting worker") for message in messages)


# -- the lines themselves -----------------------------------------------------


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(written: io.StringIO) -> logging.Logger:
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonFormatter())
    log = logging.Logger("test")
    log.addHandler(handler)
    return log


@pytest.mark.parametrize("text", ['a"b\n{"level": "x"}', "\u2028\x1b[31m", "\udcff", "é 視"])
def test_nothing_that_a_client_names_ends_its_line(
    log: logging.Logger, written: io.StringIO, text: str
) -> None:
    log.warning("cannot read %s", text)
    assert written.getvalue().isascii()
    (line,) = lines_of(written.getvalue())
    assert (line["message"], line["level"]) == (f"cannot read {text}", "warning")


def test_a_traceback_is_in_the_line_of_its_error(log: logging.Logger, written: io.StringIO) -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        log.error("request %s failed", 7, exc_info=error, extra={"request": "7", "other": 1})
    (line,) = lines_of(written.getvalue())
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["request"] == "7"
    assert "other" not in line  # what nobody has thought about is not written


@pytest.mark.parametrize(("wanted", "found"), [("auto", True), ("json", True), ("plain", False)])
def test_lines_are_plain_on_a_terminal_or_when_that_is_asked_for(wanted: str, found: bool) -> None:
    """pty.spawn gives the child a terminal; subprocess none."""
    code = f"from jobserver import logs; print(logs.is_json({wanted!r}))"
    piped = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert piped.stdout.strip() == str(found)
    terminal = subprocess.run(
        [sys.executable, "-c", f"import pty; pty.spawn(['{sys.executable}', '-c', {code!r}])"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert terminal.stdout.strip() == str(wanted == "json")
