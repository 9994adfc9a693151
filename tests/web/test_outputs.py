"""Sources as they were sent, who may download what, and the list of jobs as a 304."""

import re
from collections.abc import Iterator

import pytest

from jobserver.worker.render_thread import RenderThread
from tests.results import Job, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases


@pytest.fixture
def job(site: Site, render_thread: RenderThread, clip: bytes) -> dict:
    """A job with one variation, ready."""
    job_id = site.upload(clip, variations="1")
    while render_thread.work_once():
        pass
    return site.wait_until(job_id, "completed")


def test_a_source_is_what_was_sent_and_its_link_needs_no_header(
    site: Site, clip: bytes, job: dict
) -> None:
    answer = site.client.get(job["files"][0]["url"] + "&inline=1")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, clip, "video/mp4")
    assert answer.headers["Content-Disposition"].startswith("inline;")
    part = site.client.get(job["files"][0]["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, clip[10:20])


def test_a_source_has_no_link_before_it_is_known_to_be_a_video(site: Site, clip: bytes) -> None:
    job_id = site.upload(clip)
    assert site.show(job_id)["files"][0]["url"] is None


def test_a_source_needs_a_token_or_a_link(site: Site, job: dict) -> None:
    path = job["files"][0]["url"].partition("?")[0]
    assert site.client.get(path).status_code == 401
    assert site.client.get(path, headers=site.headers).status_code == 200
    assert site.client.get(f"{path}x", headers=site.headers).status_code == 404


def test_an_unchanged_list_is_a_304_and_one_with_another_page_is_not(site: Site) -> None:
    site.upload(b"\0\0\0\x18ftypisom")
    first = site.client.get("/api/jobs?limit=1", headers=site.headers)
    known = {**site.headers, "If-None-Match": first.headers["ETag"]}
    assert site.client.get("/api/jobs?limit=1", headers=known).status_code == 304
    site.upload(b"\0\0\0\x18ftypisom")
    assert site.client.get("/api/jobs?limit=1", headers=known).status_code == 200


# -- every route ------------------------------------------------------------------------

PUBLIC = {"auth", "health", "pages", "openapi"}  # blueprints that need no token
PROTECTED = {
    *("briefs", "jobs", "again", "outputs", "storage", "keys", "sessions"),
    *("deliveries", "differences"),
}
OF_THEIR_OWN = {"metrics", "uploads"}  # a token of its own; headers of tus, see their tests
LINK = "expires=9999999999&signature=AAAA"


def calls(site: Site, job: Job) -> Iterator[tuple[str, str]]:
    """Yield method and path of every protected route, with ids that exist."""
    (file_id,) = site.rows("SELECT id FROM job_file WHERE job_id = ?", job.id)[0]
    ids = {"job_id": job.id, "output_id": job.outputs[0], "file_id": file_id}
    ids |= {"key_id": "none", "delivery_id": "none"}
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in PROTECTED:
            path = re.sub(r"<(\w+)>", lambda name: ids[name[1]], rule.rule)
            yield from ((method, path) for method in sorted(rule.methods or ()))


def test_every_blueprint_is_known_as_public_or_protected(site: Site) -> None:
    assert set(site.app.blueprints) == PUBLIC | PROTECTED | OF_THEIR_OWN


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        (None, ""),
        ("Bearer bad", ""),
        ("Basic eDp5", ""),
        (None, LINK),
        ("Bearer bad", LINK),
        (None, "signature="),
    ],
    ids=["nothing", "bad token", "basic", "bad link", "bad token and link", "empty signature"],
)
def test_every_protected_route_is_a_401_without_a_token_or_link(
    site: Site, authorization: str | None, query: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    job = make_job(site.server)
    protected = list(calls(site, job))
    assert {path for _, path in protected} >= {job.url, job.output(), job.download, "/api/storage"}
    for method, path in protected:
        answer = site.client.open(f"{path}?{query}", method=method, headers=headers)
        assert (method, path, answer.status_code) == (method, path, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Content-Type"] == "application/json"
    assert site.show(job.id)["status"] == "completed"  # no such call changed anything


def test_a_link_opens_nothing_but_its_own_route(site: Site) -> None:
    job = make_job(site.server)
    link = site.show(job.id)["files"][0]["outputs"][0]["url"]
    own, _, query = link.partition("?")
    for method, path in calls(site, job):
        answer = site.client.open(f"{path}?{query}", method=method)
        allowed = path == own and method in ("GET", "HEAD")
        assert (method, path, answer.status_code) == (method, path, 200 if allowed else 401)
