"""CORS: off unless origins are named; these exactly, and never all."""

import pytest
from flask.testing import FlaskClient

from jobserver.web.cors import EXPOSED_HEADERS
from tests.support import Site, file_part

ORIGIN = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x"}
PATHS = ("/api/health", "/api/jobs", "/api/jobs/none", "/api/nothing", "/api/openapi.json")


@pytest.fixture
def open_site(tmp_path, database_url) -> Site:
    return Site(tmp_path, **database_url, CORS_ORIGINS=f"{ORIGIN},http://localhost:3000")


def preflight(client: FlaskClient, path: str, origin: str):
    return client.options(path, headers={"Origin": origin, **PREFLIGHT})


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_said_to_other_origins_by_default(site: Site, path: str) -> None:
    answers = [
        site.client.get(path, headers={"Origin": ORIGIN}),
        preflight(site.client, path, ORIGIN),
    ]
    for answer in answers:
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)
        assert "Vary" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_named_origins_may_read_every_answer(open_site: Site, path: str, origin: str) -> None:
    for headers in ({}, {"Authorization": "Bearer bad"}):
        answer = open_site.app.test_client().get(path, headers={"Origin": origin, **headers})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Expose-Headers"] == EXPOSED_HEADERS
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_of_a_named_origin_needs_no_token(open_site: Site, path: str) -> None:
    answer = preflight(open_site.app.test_client(), path, ORIGIN)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(
        answer.headers["Access-Control-Allow-Methods"].split(", ")
    )
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key", "Upload-Offset"} <= set(allowed)


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.evil.test", "https://app.example:444", "http://app.example", "null", "*"],
)
def test_other_origins_get_nothing(open_site: Site, origin: str) -> None:
    answer = open_site.app.test_client().get("/api/health", headers={"Origin": origin})
    assert answer.headers["Vary"] == "Origin"  # a cache must not give it to one that may
    assert not any(name.startswith("Access-Control") for name, _ in answer.headers)
    refused = preflight(open_site.app.test_client(), "/api/jobs", origin)
    assert (refused.status_code, refused.json["code"]) == (401, "authorization_required")


def test_polls_that_do_not_go_through_flask_are_readable_too(open_site: Site) -> None:
    job_id = open_site.post(file_part(b"\0\0\0\x18ftypmp42" + bytes(50))).json["jobId"]
    for _ in range(2):
        answer = open_site.client.get(f"/api/jobs/{job_id}", headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Vary"] == "Origin"


def test_the_page_itself_stays_as_it_was(open_site: Site) -> None:
    answer = open_site.client.get("/", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers
