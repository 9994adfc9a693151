"""Errors: JSON everywhere, an id for each answer, and no internals."""

import errno
import json
import logging
import re
import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobserver import create_app, db
from jobserver.web.context import get_db
from jobserver.web.error_codes import CODES
from tests.support import (
    FORM_TYPE,
    PASSWORD,
    PROJECT,
    Server,
    change_settings,
    settings_of,
    wait_for,
)

REQUEST_ID = re.compile(r"[0-9a-f]{16}")
INTERNALS = ("Traceback", 'File "', ".py", "sqlite3.", "line ", "/usr/", "<html", "<!doctype")


@pytest.fixture
def broken_app(app: Flask, tmp_path: Path) -> Flask:
    """An app with routes that raise what the real ones never should."""

    @app.get("/broken")
    def _broken() -> str:
        raise RuntimeError(f"secret of {tmp_path}")

    @app.get("/os/<int:code>")
    def _os(code: int) -> str:
        raise OSError(code, "secret", str(tmp_path))

    @app.get("/database")
    def _database() -> str:
        get_db().execute("SELECT secret FROM nowhere")
        return ""

    @app.get("/full")
    def _full() -> str:
        database = get_db()
        pages = database.value("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count = {pages}")
        with db.exclusive(database, "housekeeping"):
            database.write("INSERT INTO meta VALUES ('big', :big)", {"big": "x" * 1_000_000})
        return ""

    return app


@pytest.fixture
def client(broken_app: Flask) -> FlaskClient:
    return broken_app.test_client()


@pytest.fixture
def bearer(client: FlaskClient) -> dict[str, str]:
    token = client.post("/api/auth", json={"password": PASSWORD}).json["token"]
    return {"Authorization": f"Bearer {token}"}


ERRORS = [
    ("POST", "/", 405),
    ("GET", "/nowhere", 404),
    ("POST", "/api", 404),
    ("GET", "/api/jobs/", 404),
    ("GET", "/static/../wsgi.py", 404),
    ("GET", "/static/x.css", 404),
    ("GET", "/%00%ff%0d%0aX: y", 404),
    ("GET", "/" + "x" * 4000, 404),
    ("GET", "/console", 404),
    ("GET", "/api/jobs/none", 404),
    ("GET", "/api/jobs/%3Cb%3E", 404),
    ("GET", "/api//health", 404),
    ("POST", "/api//jobs", 404),
    ("DELETE", "/api/auth", 405),
    ("PUT", "/api/health", 405),
    ("PATCH", "/api/jobs", 405),
    ("TRACE", "/api/jobs", 405),
    ("NONSENSE", "/api/jobs", 405),
    ("POST", "/api/jobs", 400),
    ("POST", "/api/auth", 400),
    ("GET", "/api/jobs?limit=0", 400),
    ("GET", "/api/jobs?before=none", 400),
    ("GET", "/broken", 500),
    ("GET", "/database", 500),
    ("GET", f"/os/{errno.EACCES}", 503),
    ("GET", f"/os/{errno.ENOSPC}", 507),
    ("GET", f"/os/{errno.EDQUOT}", 507),
    ("GET", "/full", 507),
]


@pytest.mark.parametrize(("method", "path", "status"), ERRORS)
def test_every_error_is_a_json_sentence_without_internals(
    method: str, path: str, status: int, client: FlaskClient, bearer: dict[str, str], tmp_path: Path
) -> None:
    answer = client.open(path, method=method, headers=bearer)
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    assert re.fullmatch(r"[^\n]{10,}", answer.json["error"])
    assert CODES[answer.json["code"]].status == status
    for internal in (*INTERNALS, str(PROJECT), str(tmp_path), "secret"):
        assert internal not in answer.text
    assert REQUEST_ID.fullmatch(answer.headers["X-Request-ID"])


def test_an_unauthorized_call_is_json_with_its_scheme(client: FlaskClient) -> None:
    answer = client.get("/api/jobs")
    assert (answer.status_code, answer.content_type) == (401, "application/json")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_405_names_the_allowed_methods(client: FlaskClient) -> None:
    answer = client.delete("/api/auth")
    assert answer.json == {
        "error": "The method is not allowed for the requested URL.",
        "code": "method_not_allowed",
    }
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_body_above_everything_allowed_is_a_413_in_json(
    client: FlaskClient, bearer: dict[str, str]
) -> None:
    headers = {**bearer, "Content-Type": FORM_TYPE}
    size = {"CONTENT_LENGTH": str(10**15)}
    answer = client.post("/api/jobs", headers=headers, environ_overrides=size)
    assert (answer.status_code, answer.content_type) == (413, "application/json")
    assert answer.json["error"].startswith("Request too large (at most ")


def test_a_full_disk_is_a_507_in_json(
    client: FlaskClient, bearer: dict[str, str], broken_app: Flask
) -> None:
    change_settings(broken_app, min_free_space=2**62)
    answer = client.post("/api/jobs", headers={**bearer, "Content-Type": FORM_TYPE}, data=b"x")
    assert (answer.status_code, answer.content_type) == (507, "application/json")
    assert answer.json == {
        "error": "Not enough disk space for this upload",
        "code": "insufficient_storage",
    }


def test_a_lost_upload_folder_is_an_error_in_json_without_its_path(
    client: FlaskClient, bearer: dict[str, str], broken_app: Flask
) -> None:
    folder = settings_of(broken_app).upload_dir
    folder.rmdir()
    answer = client.post("/api/jobs", headers={**bearer, "Content-Type": FORM_TYPE}, data=b"x")
    assert answer.status_code in (500, 503)
    assert answer.content_type == "application/json"
    assert str(folder) not in answer.text


def test_head_of_an_error_has_its_headers_and_no_body(client: FlaskClient) -> None:
    answer = client.head("/nowhere")
    assert (answer.status_code, answer.content_type, answer.data) == (404, "application/json", b"")


def test_every_answer_has_an_id_of_its_own_that_no_client_can_choose(
    client: FlaskClient, bearer: dict[str, str]
) -> None:
    paths = ["/api/health", "/api/jobs", "/nowhere", "/broken", "/api/health"]
    chosen = {**bearer, "X-Request-ID": "chosen"}
    ids = [client.get(path, headers=chosen).headers["X-Request-ID"] for path in paths]
    assert len(set(ids)) == len(ids)
    assert all(REQUEST_ID.fullmatch(request_id) for request_id in ids)


def test_the_log_has_the_traceback_and_the_id_of_the_answer(
    client: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/broken")
    (record,) = caplog.records
    assert record.getMessage() == f"request {answer.headers['X-Request-ID']} failed"
    assert f"RuntimeError: secret of {tmp_path}" in caplog.text
    assert answer.json == {
        "error": "The server made a mistake; its log has the request id",
        "code": "internal_error",
    }


def test_a_mistake_of_a_client_is_no_error_in_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        client.get("/nowhere")
        client.get("/api/jobs")
        client.post("/api/auth", data="[" * 16_000)
    assert caplog.records == []


def test_a_busy_database_is_a_503_with_retry_after(
    broken_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.connect, "__defaults__", (0.05,))
    path = settings_of(broken_app).database
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = broken_app.test_client().post("/api/auth", json={"password": PASSWORD})
    holder.close()
    assert (answer.status_code, answer.content_type) == (503, "application/json")
    assert answer.json == {"error": "The database is busy; try again", "code": "database_busy"}
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_a_debug_variable_shows_no_internals(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", value)
    app = create_app(
        {
            "DATABASE": tmp_path / "db.sqlite3",
            "UPLOAD_DIR": tmp_path / "uploads",
            "OUTPUT_DIR": tmp_path / "outputs",
            "SECRET_KEY": "key for tests",
        }
    )

    @app.get("/broken")
    def _broken() -> str:
        raise KeyError("secret")

    answer = app.test_client().get("/broken")
    assert answer.status_code == 500
    assert answer.json == {
        "error": "The server made a mistake; its log has the request id",
        "code": "internal_error",
    }


def test_debug_is_off(broken_app: Flask) -> None:
    assert broken_app.debug is False
    assert broken_app.testing is False


def test_the_access_log_has_the_id_of_each_answer(server: Server) -> None:
    for path, status in (("/api/health", 200), ("/nowhere-to-log", 404), ("/api/jobs", 401)):
        answer = server.get(path)
        assert answer.status == status
        line = re.compile(
            rf'^[\d-]{{10}}T[\d:]{{8}}Z 127\.0\.0\.1 "GET {path}" {status} {len(answer.body)} '
            rf"\d+ms {answer.headers['X-Request-ID']}$",
            re.M,
        )
        wait_for(lambda line=line: line.search(server.log()), 5, f"a line like {line.pattern}")


def test_a_query_is_not_logged(server: Server) -> None:
    answer = server.get("/api/jobs?token=query-secret")
    wait_for(lambda: answer.headers["X-Request-ID"] in server.log(), 5, "the line")
    assert "query-secret" not in server.log()


def test_a_500_of_the_real_server_is_generic_and_both_logs_have_its_id(
    own_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(
        "from wsgi import app\n"
        '@app.get("/broken")\n'
        "def broken():\n"
        '    raise RuntimeError("a secret")\n'
    )
    own_server.wsgi = "broken:app"
    own_server.settings["PYTHONPATH"] = f"{tmp_path}:{PROJECT}"
    own_server.settings["FLASK_DEBUG"] = "1"
    own_server.start()
    answer = own_server.get("/broken")
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == {
        "error": "The server made a mistake; its log has the request id",
        "code": "internal_error",
    }
    request_id = answer.headers["X-Request-ID"]
    wait_for(lambda: own_server.log().count(request_id) >= 2, 5, "both lines")
    assert f"request {request_id} failed" in own_server.log()
    assert "RuntimeError: a secret" in own_server.log()


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nExpect: wonders\r\n\r\n", 417, "expectation_failed"),
        (b"G T / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
            "bad_request",
        ),
    ],
)
def test_what_gunicorn_refuses_itself_is_json_too(
    server: Server, request_: bytes, status: int, code: str
) -> None:
    with server.connect() as sock:
        sock.sendall(request_)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json" in head
    assert set(json.loads(body)) == {"error", "code"}
    assert json.loads(body)["code"] == code
