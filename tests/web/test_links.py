"""Signed links: they open one path for a while, for anybody who has them, and nothing else."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from jobserver import create_app
from jobserver.web.auth import link_signer
from tests.results import Clip, Job, make_job
from tests.support import PASSWORD, Site, wait_for

pytestmark = pytest.mark.both_databases

INVALID = {"error": "Invalid or expired token", "code": "invalid_token"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def job(site: Site) -> Job:
    return make_job(site.server)


@pytest.fixture
def links(site: Site, job: Job) -> dict[str, str]:
    shown = site.show(job.id)
    first = shown["files"][0]["outputs"][0]
    return {
        "zip": shown["downloadUrl"],
        "output": first["url"],
        "thumbnail": first["thumbnailUrl"],
    }


@pytest.fixture
def link(links: dict[str, str]) -> str:
    return links["output"]


def status(site: Site, address: str, method: str = "GET", **headers: str) -> int:
    answer = site.client.open(address, method=method, headers=headers)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert set(answer.json) == {"error", "code"}
    return answer.status_code


def changed(link: str, **replaced: str) -> str:
    """Return the link with parameters replaced."""
    parts = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"{parts.path}?{urlencode({**query, **replaced})}"


def other_app(site: Site, **settings: str):
    names = ("DATABASE", "UPLOAD_DIR", "OUTPUT_DIR", "AUTH_PASSWORD", "SECRET_KEY")
    kept = {name: site.server.settings[name] for name in names}
    return create_app({**kept, **settings}).test_client()


def test_links_work_without_a_header(site: Site, links: dict[str, str]):
    for address in links.values():
        assert status(site, address) == 200
        assert status(site, address, "HEAD") == 200
        assert status(site, address, Range="bytes=0-3") == 206


def test_the_paths_of_links_work_with_a_token_and_not_with_nothing(
    site: Site, links: dict[str, str]
):
    for address in links.values():
        path = urlsplit(address).path
        assert status(site, path, **site.headers) == 200
        assert status(site, path) == 401
        assert status(site, path, Authorization="Bearer bad") == 401


def test_a_link_may_be_asked_to_show_inline(site: Site, link: str):
    answer = site.client.get(f"{link}&inline=1")
    assert answer.headers["Content-Disposition"].startswith("inline")


def test_a_link_opens_that_path_only(site: Site, links: dict[str, str], job: Job):
    query = urlsplit(links["output"]).query
    other = make_job(site.server)
    paths = (job.output(1), job.download, f"{job.output()}/thumbnail", other.output(), job.url)
    for path in (*paths, "/api/jobs", "/api/storage"):
        assert status(site, f"{path}?{query}") == 401, path


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda s: s[:10] + ("A" if s[10] != "A" else "B") + s[11:], id="flipped"),
        pytest.param(lambda s: s[:-5], id="cut"),
        pytest.param(lambda s: s + "AAAA", id="longer"),
        pytest.param(lambda _: "é", id="not ASCII"),
        pytest.param(lambda _: "a" * 10_000, id="10 KB"),
        pytest.param(lambda _: "====", id="padding"),
    ],
)
def test_an_altered_signature_is_a_401(site: Site, link: str, alter: Callable[[str], str]):
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    assert status(site, changed(link, signature=alter(signature))) == 401


@pytest.mark.parametrize("expires", ["9999999999", "", "x", "-1", "9" * 5000, "\uff11", "1e9"])
def test_an_altered_expiry_is_a_401(site: Site, link: str, expires: str):
    assert status(site, changed(link, expires=expires)) == 401


def test_a_link_without_its_expiry_or_signature_is_a_401(site: Site, link: str):
    path, _, query = link.partition("?")
    for part in query.split("&"):
        assert status(site, f"{path}?{part}") == 401


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
def test_another_method_is_a_401(site: Site, link: str, method: str):
    assert status(site, link, method) in (401, 405)
    path, _, query = link.partition("/outputs")
    assert status(site, f"{path}?{query.partition('?')[2]}", method) in (401, 405)
    assert site.show(path.rpartition("/")[2])["status"] == "completed"


def test_a_link_does_not_delete_its_job(site: Site, link: str, job: Job):
    assert status(site, f"{job.url}?{urlsplit(link).query}", "DELETE") == 401
    assert status(site, link) == 200


def test_a_link_runs_out_after_its_lifetime(site: Site, link: str, monkeypatch: pytest.MonkeyPatch):
    expires = int(parse_qs(urlsplit(link).query)["expires"][0])
    assert 1800 <= expires - time.time() <= 3600
    monkeypatch.setattr(time, "time", lambda: expires - 0.5)
    assert status(site, link) == 200
    monkeypatch.setattr(time, "time", lambda: expires + 0.5)
    answer = site.client.get(link)
    assert (answer.status_code, answer.json) == (401, INVALID)


def test_the_lifetime_is_a_setting(site: Site, job: Job):
    client = other_app(site, LINK_LIFETIME="10")
    shown = client.get(job.url, headers=site.headers).json
    expires = int(parse_qs(urlsplit(shown["downloadUrl"]).query)["expires"][0])
    assert 4 <= expires - time.time() <= 10


def test_links_are_the_same_for_a_while_so_a_status_keeps_its_etag(site: Site, job: Job):
    app = site.app
    with app.app_context():
        whole = [link_signer(36_000.0 + seconds)("/a") for seconds in (0, 1, 1799.9)]
        assert len(set(whole)) == 1
        assert link_signer(36_000.0 + 1800)("/a") != whole[0]


@pytest.mark.parametrize("setting", [{"SECRET_KEY": "another key"}, {"AUTH_PASSWORD": "changed"}])
def test_another_key_or_password_voids_links(site: Site, link: str, setting: dict[str, str]):
    assert other_app(site, **setting).get(link).status_code == 401


def test_an_older_key_still_opens_links(site: Site, link: str):
    keys = f"new key,{site.server.settings['SECRET_KEY']}"
    assert other_app(site, SECRET_KEY=keys).get(link).status_code == 200


def test_a_link_is_no_token_and_a_token_no_link(site: Site, link: str):
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    assert status(site, "/api/jobs", Authorization=f"Bearer {signature}") == 401
    token = site.headers["Authorization"].partition(" ")[2]
    assert status(site, changed(link, signature=token)) == 401


def test_a_link_of_a_removed_job_says_so(site: Site, link: str, job: Job):
    site.client.delete(job.url, headers=site.headers)
    assert status(site, link) == 410


def test_links_work_below_a_prefix(site: Site, job: Job):
    shown = site.client.get(
        job.url, headers=site.headers, environ_overrides={"SCRIPT_NAME": "/videos"}
    ).json
    assert shown["downloadUrl"].startswith("/videos/api/jobs/")
    path = shown["downloadUrl"].removeprefix("/videos")
    answer = site.client.get(path, environ_overrides={"SCRIPT_NAME": "/videos"})
    assert answer.status_code == 200


def test_a_link_and_its_password_are_not_in_the_log(server):
    job = make_job(server, Clip(outputs=[b"x"]))
    link = server.get(job.url, server.token).json["downloadUrl"]
    assert server.get(link).status == 200
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    wait_for(lambda: f"{job.id}/download" in server.log(), 5, "the line of the answer")
    log = server.log()
    assert signature not in log
    assert PASSWORD not in log
    assert not re.search(r"signature=|expires=", log)
