"""Auth over HTTP: who gets a token, which requests need one, how many attempts a password has."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from typing import Any

import itsdangerous
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from jobserver import create_app
from jobserver.auth.keys import derive
from jobserver.db import initialise
from jobserver.db.postgres.connection import PostgresConnection
from tests.auth.altered import altered_tokens
from tests.support import FORM_TYPE, PASSWORD, Answer, Server, settings_of

pytestmark = pytest.mark.both_databases

PUBLIC = {
    "auth.sign_in",
    "health.show_health",
    "pages.show_page",
    "pages.show_access",
    "pages.static",
    "pages.headline_font",
    "openapi.openapi",
    "openapi.docs",
    "uploads.describe",  # OPTIONS alone: what tus can do here
    "metrics.show_metrics",  # has METRICS_TOKEN, see test_metrics.py; 404 without it
}
KEY = "key for tests"


@pytest.fixture(scope="module")
def one_app(
    tmp_path_factory: pytest.TempPathFactory, new_url: Callable[[], dict[str, str]]
) -> Flask:
    """An app for the tests that change nothing in its database."""
    folder = tmp_path_factory.mktemp("auth")
    app = create_app(
        {
            **new_url(),
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": KEY,
            "DATABASE": folder / "db.sqlite3",
            "UPLOAD_DIR": folder / "uploads",
            "OUTPUT_DIR": folder / "outputs",
        }
    )
    initialise(settings_of(app).database_place)
    return app


@pytest.fixture(scope="module")
def good(one_app: Flask) -> str:
    """A token for `one_app`."""
    return str(sign_in(one_app, PASSWORD).json["token"])


def sign_in(app: Flask, password: object, **arguments: Any) -> TestResponse:
    """Send a password as ASCII JSON, which can hold lone surrogates too."""
    body = json.dumps({"password": password})
    return app.test_client().post("/api/auth", data=body, **arguments)


def ask(app: Flask, authorization: str | None) -> TestResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    return app.test_client().get("/api/jobs", headers=headers)


def app_like(app: Flask, **settings: object) -> Flask:
    """Build another app on the same database with other settings."""
    kept = (
        *("AUTH_PASSWORD", "DATABASE", "DATABASE_URL"),
        *("UPLOAD_DIR", "OUTPUT_DIR", "MIN_FREE_SPACE"),
    )
    common = {name: getattr(app.extensions["settings"], name.lower()) for name in kept}
    return create_app({**common, "SECRET_KEY": KEY, **settings})


def answer_to_bytes(server: Server, request: str) -> tuple[int, str]:
    """Send bytes as they are; return the status and all that was answered."""
    with closing(server.connect()) as sock:
        sock.sendall(request.encode("latin-1"))
        answered = b""
        while chunk := sock.recv(65536):
            answered += chunk
    return int(answered.split(b" ", 2)[1]), answered.decode("latin-1")


# -- passwords ------------------------------------------------------------------


def test_the_right_password_gets_a_token_that_opens_the_api(app: Flask) -> None:
    answer = sign_in(app, PASSWORD)
    assert answer.status_code == 200
    assert answer.json.keys() == {"token", "expiresIn"}
    assert answer.json["expiresIn"] == 86400
    assert ask(app, f"Bearer {answer.json['token']}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "null",
        "1",
        "[]",
        "{}",
        '"password"',
        "not json",
        '{"password": ',
        '{"password": ""}',
        '{"password": null}',
        '{"password": 1}',
        '{"password": true}',
        '{"password": []}',
        '{"password": {"$ne": ""}}',
        '{"Password": "x"}',
        "password=x",
        '[{"password": "x"}]',
        b"\xff\xfe\x00",
        b'{"password": "\xff"}',
        "[" * 16_000,
        '{"password":' * 1_300,
        '{"password": ' + "9" * 5_000 + "}",
        "\0" * 100,
    ],
)
def test_a_body_without_a_password_is_a_400(body: str | bytes, one_app: Flask) -> None:
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answer = one_app.test_client().post("/api/auth", data=body, content_type=content_type)
        assert (answer.status_code, answer.json) == (
            400,
            {"error": "Password required", "code": "password_required"},
        )


@pytest.mark.parametrize(
    "body", ['{"password": "' + "x" * 1_000_000 + '"}', "[" * 100_000, " " * (16 * 1024 + 1)]
)
def test_a_body_over_16_kb_is_a_400_before_it_is_parsed(body: str, one_app: Flask) -> None:
    answer = one_app.test_client().post("/api/auth", data=body)
    assert (answer.status_code, answer.json) == (
        400,
        {"error": "Password too long", "code": "password_too_long"},
    )


def test_a_long_body_is_a_400_over_the_socket_too_with_and_without_its_length(
    server: Server,
) -> None:
    body = b'{"password": "' + b"x" * 1_000_000 + b'"}'
    assert server.request("POST", "/api/auth", body).json == {
        "error": "Password too long",
        "code": "password_too_long",
    }
    chunks = iter([body[:500_000], body[500_000:]])
    assert server.request("POST", "/api/auth", chunks).status == 400


@pytest.mark.parametrize(
    "password",
    [
        "wrong",
        "é",
        "\ud800",
        "x\udcff",
        "\0",
        PASSWORD + "\0",
        PASSWORD + " ",
        " " + PASSWORD,
        PASSWORD[:-1],
        PASSWORD.upper(),
        "x" * 16_000,
        "🎬" * 1_000,
    ],
)
def test_a_wrong_password_is_a_401(password: str, app: Flask) -> None:
    answer = sign_in(app, password)
    assert (answer.status_code, answer.json) == (
        401,
        {"error": "Invalid password", "code": "invalid_password"},
    )


@pytest.mark.parametrize(
    "password", ["é", "пароль 🎬", " spaces ", "e\u0301", "\ud800", "x" * 16_000]
)
def test_a_right_password_may_be_any_text(password: str, app: Flask) -> None:
    own = app_like(app, AUTH_PASSWORD=password)
    assert sign_in(own, password).status_code == 200
    assert sign_in(own, password + "x").status_code == 401


def test_without_a_configured_password_nobody_gets_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTH_PASSWORD", raising=False)
    own = app_like(app, AUTH_PASSWORD=None)
    for password in ("", "None", "null", PASSWORD):
        assert sign_in(own, password).status_code in (400, 401)


# -- tokens -----------------------------------------------------------------------


def of_salt(salt: str) -> str:
    """Return a token of the right keys, made for another purpose."""
    serializer = itsdangerous.URLSafeTimedSerializer(
        derive([KEY], PASSWORD), salt=salt, signer_kwargs={"digest_method": sha256}
    )
    return str(serializer.dumps("signed in"))


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer  ", "Basic eDp5"])
def test_a_request_without_a_token_is_a_401_that_names_the_scheme(
    authorization: str | None, one_app: Flask
) -> None:
    answer = ask(one_app, authorization)
    assert (answer.status_code, answer.json) == (
        401,
        {"error": "Authorization required", "code": "authorization_required"},
    )
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_alone_without_its_scheme_is_a_401(one_app: Flask, good: str) -> None:
    for authorization in (good, f"Token {good}", f"Basic {good}", f"Bearer{good}"):
        assert ask(one_app, authorization).status_code == 401


def test_the_scheme_may_be_in_any_case_and_the_token_have_blanks_around(
    one_app: Flask, good: str
) -> None:
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR", "Bearer ", "Bearer  "):
        assert ask(one_app, f"{scheme} {good}").status_code == 200
    assert ask(one_app, f"Bearer {good} ").status_code == 200


@pytest.mark.parametrize("name", altered_tokens("a.b.c"))
def test_an_altered_token_is_a_401(name: str, one_app: Flask, good: str) -> None:
    assert ask(one_app, f"Bearer {good}").status_code == 200
    for _ in range(2):  # the second answer may come from a cache
        answer = ask(one_app, f"Bearer {altered_tokens(good)[name]}")
        assert (answer.status_code, answer.json) == (
            401,
            {"error": "Invalid or expired token", "code": "invalid_token"},
        )
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_made_for_another_purpose_is_a_401(one_app: Flask) -> None:
    assert ask(one_app, f"Bearer {of_salt('jobserver.auth')}").status_code == 200
    assert ask(one_app, f"Bearer {of_salt('jobserver.download')}").status_code == 401


@pytest.mark.parametrize(
    ("age_s", "status"), [(0, 200), (86_390, 200), (86_402, 401), (10**9, 401), (-3_600, 401)]
)
def test_a_token_ends_with_its_age(
    age_s: int, status: int, one_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as clock:
        made = int(time.time()) - age_s
        clock.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda _signer: made)
        token = of_salt("jobserver.auth")
    assert [ask(one_app, f"Bearer {token}").status_code for _ in range(2)] == [status, status]


def test_a_token_that_was_good_a_moment_ago_ends_too(
    one_app: Flask, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(one_app, f"Bearer {good}").status_code == 200
    later = time.time() + 86_402
    monkeypatch.setattr(time, "time", lambda: later)
    assert ask(one_app, f"Bearer {good}").status_code == 401


def test_a_token_lasts_for_token_max_age_as_its_answer_says(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = app_like(app, TOKEN_MAX_AGE=60)
    answer = sign_in(own, PASSWORD)
    assert answer.json["expiresIn"] == 60
    later = time.time() + 62
    monkeypatch.setattr(time, "time", lambda: later)
    assert ask(own, f"Bearer {answer.json['token']}").status_code == 401
    assert ask(app, f"Bearer {answer.json['token']}").status_code == 200


def test_two_authorization_headers_are_a_401_whichever_is_good(server: Server) -> None:
    good, bad = f"Bearer {server.token}", "Bearer bad"
    for first, second in ((good, bad), (bad, good), (good, good)):
        status, _ = answer_to_bytes(
            server,
            f"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: {first}\r\nAuthorization: {second}\r\n\r\n",
        )
        assert status == 401


def test_a_token_of_10_kb_is_answered_by_the_api(server: Server) -> None:
    answer = server.get("/api/jobs", "x" * 10_240)
    assert (answer.status, answer.json) == (
        401,
        {"error": "Invalid or expired token", "code": "invalid_token"},
    )


def test_a_token_in_the_query_or_a_cookie_is_none(one_app: Flask, good: str) -> None:
    client = one_app.test_client()
    client.set_cookie("token", good)
    assert client.get(f"/api/jobs?token={good}&access_token={good}").status_code == 401


def test_another_password_voids_the_older_tokens(app: Flask, token: str) -> None:
    other = app_like(app, AUTH_PASSWORD="another")
    assert ask(app_like(app), f"Bearer {token}").status_code == 200
    assert ask(other, f"Bearer {token}").status_code == 401
    new = sign_in(other, "another").json["token"]
    assert ask(other, f"Bearer {new}").status_code == 200
    assert ask(app, f"Bearer {new}").status_code == 401


def test_a_restart_with_another_password_voids_older_tokens_in_all_workers(
    own_server: Server,
) -> None:
    own_server.start()
    old = own_server.token
    assert statuses_over_all_workers(own_server, old) == {200}
    own_server.stop()
    own_server.settings["AUTH_PASSWORD"] = "another"
    own_server.start()
    assert statuses_over_all_workers(own_server, old) == {401}
    new = own_server.sign_in("another").json["token"]
    assert statuses_over_all_workers(own_server, new) == {200}


def statuses_over_all_workers(server: Server, token: str) -> set[int]:
    with ThreadPoolExecutor(8) as clients:
        answers = clients.map(lambda _: server.get("/api/jobs", token), range(32))
    return {answer.status for answer in answers}


def test_secret_keys_rotate_without_signing_anybody_out(app: Flask, token: str) -> None:
    rotating = app_like(app, SECRET_KEY="new,key for tests")
    assert ask(rotating, f"Bearer {token}").status_code == 200
    new = sign_in(rotating, PASSWORD).json["token"]
    assert ask(rotating, f"Bearer {new}").status_code == 200
    rotated = app_like(app, SECRET_KEY="new")
    assert ask(rotated, f"Bearer {new}").status_code == 200  # the newest key signs
    assert ask(app, f"Bearer {new}").status_code == 401
    assert ask(rotated, f"Bearer {token}").status_code == 401  # a key taken away voids
    assert ask(rotating, f"Bearer {token}").status_code == 200


# -- every route ------------------------------------------------------------------


def protected_calls(app: Flask) -> list[tuple[str, str]]:
    """Return (method, path) of every route that is not public."""
    return [
        (method, rule.rule.replace("<job_id>", "some-id"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in PUBLIC
        for method in sorted(rule.methods or ())
        if not (method == "OPTIONS" and rule.endpoint.startswith("uploads."))  # uploads.describe
    ]


def test_only_what_is_listed_needs_no_token(one_app: Flask) -> None:
    endpoints = {rule.endpoint for rule in one_app.url_map.iter_rules()}
    assert endpoints & PUBLIC == PUBLIC
    assert ("POST", "/api/jobs") in protected_calls(one_app)
    methods = [rule.methods for rule in one_app.url_map.iter_rules("uploads.describe")]
    assert methods == [{"OPTIONS"}, {"OPTIONS"}]
    known = (
        *("/api/jobs", "/api/storage", "/api/briefs", "/api/uploads"),
        *("/api/keys", "/api/auth/revoke-all"),
    )
    assert all(path.startswith(known) for _, path in protected_calls(one_app))


@pytest.mark.parametrize("authorization", ["", "Authorization: Bearer bad\r\n"])
def test_every_protected_route_answers_401_before_any_of_the_body_was_sent(
    authorization: str, one_app: Flask, server: Server
) -> None:
    before = server.uploads()
    jobs = server.rows("SELECT COUNT(*) FROM job")
    for method, path in protected_calls(one_app):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}"
            f"Content-Type: {FORM_TYPE}\r\nContent-Length: 524288000\r\n\r\n"
        )
        with closing(server.connect(timeout=5)) as sock:
            sock.sendall(head.encode())
            status = int(sock.recv(65536).split(b" ", 2)[1])
        assert (method, path, status) == (method, path, 401)
    assert server.uploads() == before
    assert server.rows("SELECT COUNT(*) FROM job") == jobs


def test_a_chunked_body_is_not_read_for_a_bad_token_either(server: Server) -> None:
    before = server.uploads()
    with closing(server.connect(timeout=5)) as sock:
        sock.sendall(
            b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bad\r\n"
            b"Content-Type: " + FORM_TYPE.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert server.uploads() == before


# -- attempts -------------------------------------------------------------------------


def test_the_sixth_wrong_attempt_is_a_429_with_retry_after_even_when_right(app: Flask) -> None:
    address = {"REMOTE_ADDR": "192.0.2.1"}
    for _ in range(5):
        assert sign_in(app, "wrong", environ_base=address).status_code == 401
    answers = [sign_in(app, "wrong", environ_base=address) for _ in range(15)]
    answers.append(sign_in(app, PASSWORD, environ_base=address))
    assert {answer.status_code for answer in answers} == {429}
    waits = [int(answer.headers["Retry-After"]) for answer in answers]
    assert waits == sorted(waits)
    assert waits[0] == 2
    assert waits[-1] > 400
    assert answers[0].json == {
        "error": "Too many wrong passwords; try again later",
        "code": "too_many_attempts",
    }
    other = sign_in(app, PASSWORD, environ_base={"REMOTE_ADDR": "192.0.2.2"})
    assert other.status_code == 200


def test_who_waits_as_long_as_retry_after_says_is_let_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        sign_in(app, "wrong")
    wait_s = int(sign_in(app, "wrong").headers["Retry-After"])
    later = time.time() + wait_s
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(PostgresConnection, "clock", lambda _db: later)
    assert sign_in(app, PASSWORD).status_code == 200


def test_bodies_without_a_password_are_not_counted(app: Flask) -> None:
    for _ in range(20):
        assert sign_in(app, "").status_code == 400
    assert sign_in(app, PASSWORD).status_code == 200


def test_a_site_of_ipv6_waits_after_fifty_wrong_attempts_and_its_neighbour_does_not(
    app: Flask,
) -> None:
    def from_(address: str, password: str) -> TestResponse:
        return sign_in(app, password, environ_base={"REMOTE_ADDR": address})

    for number in range(50):
        assert from_(f"2001:db8:0:{number:x}::1", "wrong").status_code == 401
    answer = from_("2001:db8:0:ffff::1", PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert from_("2001:db8:1::1", PASSWORD).status_code == 200


def test_a_valid_token_works_while_its_address_may_not_sign_in(app: Flask, token: str) -> None:
    for _ in range(8):
        sign_in(app, "wrong")
    assert sign_in(app, PASSWORD).status_code == 429
    assert ask(app, f"Bearer {token}").status_code == 200


def at_once(count: int, call: Callable[[int], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as clients:
        return list(clients.map(call, range(count)))


def test_fifty_wrong_attempts_at_once_over_all_workers_and_forged_addresses_have_one_budget(
    own_server: Server,
) -> None:
    own_server.start()
    answers = at_once(
        50, lambda i: own_server.sign_in("wrong", **{"X-Forwarded-For": f"198.51.100.{i}"})
    )
    answered = [answer for answer in answers if answer.status == 401]
    assert {answer.status for answer in answers} == {401, 429}
    assert len(answered) == 5
    assert all(int(a.headers["Retry-After"]) >= 1 for a in answers if a.status == 429)
    forged = {"X-Forwarded-For": "203.0.113.1", "Forwarded": "for=203.0.113.1"}
    assert own_server.sign_in(PASSWORD, **forged, **{"X-Real-IP": "203.0.113.1"}).status == 429


def test_128_wrong_attempts_at_once_from_8_64_or_256_addresses_lock_out_no_other(
    own_server: Server,
) -> None:
    own_server.settings["TRUSTED_PROXIES"] = "1"
    own_server.start()
    for network, addresses in ((8, 8), (64, 64), (255, 256)):
        with ThreadPoolExecutor(16) as clients:
            statuses = clients.map(
                lambda i, network=network, addresses=addresses: (
                    own_server.sign_in(
                        "wrong", **{"X-Forwarded-For": f"10.{network}.0.{i % addresses}"}
                    ).status
                ),
                range(max(128, addresses)),
            )
        assert set(statuses) <= {401, 429}
        other = own_server.sign_in(PASSWORD, **{"X-Forwarded-For": f"192.0.2.{network}"})
        assert other.status == 200


def test_behind_one_trusted_proxy_only_the_last_forwarded_address_counts(
    own_server: Server,
) -> None:
    own_server.settings["TRUSTED_PROXIES"] = "1"
    own_server.start()

    def from_(forwarded: str, password: str) -> int:
        return own_server.sign_in(password, **{"X-Forwarded-For": forwarded}).status

    statuses = [from_(f"203.0.113.{i}, 192.0.2.1", "wrong") for i in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert from_("192.0.2.2, 192.0.2.1", PASSWORD) == 429
    assert from_("192.0.2.1, 192.0.2.2", PASSWORD) == 200  # not the forged first one
    assert own_server.sign_in().status == 200  # nor the proxy's own address


def test_what_an_untrusted_peer_says_about_forwarding_changes_no_answer(server: Server) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Port": "1",
        "X-Script-Name": "/evil",
        "Script-Name": "/evil",
        "Path-Info": "/api/health",
        "Forwarded": "for=203.0.113.1;host=evil.example;proto=https",
    }
    job = server.upload(b"bytes").json["jobId"]
    plain = server.get(f"/api/jobs/{job}", server.token)
    answer = server.request(
        "GET", f"/api/jobs/{job}", headers={**server.bearer(server.token), **forged}
    )
    assert (answer.status, answer.body) == (200, plain.body)
    body = server.post(b"", forged)
    assert body.status == 400
    status, text = answer_to_bytes(
        server,
        "GET /api/jobs?limit=1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n"
        f"Authorization: Bearer {server.token}\r\nSCRIPT_NAME: /evil\r\n"
        "X_FORWARDED_PREFIX: /evil\r\nX-Forwarded-Prefix: /evil\r\n\r\n",
    )
    assert status == 200
    assert "evil" not in text


def test_a_socket_without_a_request_does_not_disturb_the_others(server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 5)):
        assert server.get("/api/health").status == 200
