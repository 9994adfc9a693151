"""Outputs through the real nginx, which sends them itself: the same answers, byte for byte."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nginx import Nginx
from tests.results import Clip, Job, make_job
from tests.support import Answer, Server

pytestmark = pytest.mark.tools

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"TRUSTED_PROXIES": "1", "ACCEL_REDIRECT": "/.outputs"}
    server = Server(tmp_path_factory.mktemp("gunicorn"), **settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nginx(gunicorn: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    alias = {"alias /srv/jobserver/outputs/;": f"alias {gunicorn.settings['OUTPUT_DIR']}/;"}
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), gunicorn.port, **alias)
    yield nginx.start()
    nginx.stop()


@pytest.fixture
def server(proxied: Server) -> Server:
    return proxied


@pytest.fixture
def job(server: Server) -> Job:
    return make_job(server, Clip("Ferien 視.mp4", [os.urandom(3 * MIB), b"second"]))


def get(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request(method, path, headers={**server.bearer(server.token), **named})


def test_nginx_sends_an_output_and_jobserver_does_not(
    server: Server, job: Job, gunicorn: Server, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
):
    answer = get(server, job.output())
    assert (answer.status, answer.body) == (200, job.paths[0].read_bytes())
    monkeypatch.setattr(gunicorn, "port", int(gunicorn.settings["PORT"]))
    direct = get(server, job.output())
    assert direct.body == b""
    assert direct.headers["X-Accel-Redirect"] == f"/.outputs/{job.id}/{job.paths[0].name}"


def test_the_headers_are_jobservers(server: Server, job: Job):
    answer = get(server, job.output())
    etag = hashlib.sha256(answer.body).hexdigest()
    assert answer.headers.get_all("ETag") == [f'"{etag}"']
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Length"] == str(3 * MIB)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "private" in answer.headers["Cache-Control"]
    assert "filename*=UTF-8''Ferien%20%E8%A6%96_var1.mp4" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Request-ID"]
    assert answer.headers["Last-Modified"]
    assert "X-Accel-Redirect" not in answer.headers


@pytest.mark.parametrize(
    ("range_", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-1048580", 5, 1048581),
        ("bytes=-100", -100, None),
        ("bytes=-999999999", 0, None),
        ("bytes=100-", 100, None),
        ("bytes=100-999999999", 100, None),
    ],
)
def test_a_range_is_a_206(server: Server, job: Job, range_: str, start: int, stop: int | None):
    content = job.paths[0].read_bytes()
    answer = get(server, job.output(), Range=range_)
    first, end, _ = slice(start, stop).indices(len(content))
    assert (answer.status, answer.body) == (206, content[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(content)}"


@pytest.mark.parametrize("range_", ["bytes=999999999-", "bytes=x", "bytes=0-1,5-6", "bytes=5-4"])
def test_a_range_that_cannot_be_is_a_416_as_json(server: Server, job: Job, range_: str):
    answer = get(server, job.output(), Range=range_)
    assert (answer.status, set(answer.json)) == (416, {"error", "code"})
    assert answer.headers["Content-Range"] == f"bytes */{3 * MIB}"


def test_if_range_is_held_against_the_etag(server: Server, job: Job):
    etag = get(server, job.output(), "HEAD").headers["ETag"]
    assert get(server, job.output(), Range="bytes=5-", If_Range=etag).status == 206
    for stale in ('"other"', "Mon, 01 Jan 2001 00:00:00 GMT"):
        answer = get(server, job.output(), Range="bytes=5-", If_Range=stale)
        assert (answer.status, len(answer.body)) == (200, 3 * MIB)


def test_head_and_what_the_client_has_already(server: Server, job: Job):
    first = get(server, job.output(), "HEAD")
    assert (first.status, first.body, first.headers["Content-Length"]) == (200, b"", str(3 * MIB))
    known = get(server, job.output(), If_None_Match=first.headers["ETag"])
    assert (known.status, known.body) == (304, b"")
    assert known.headers["ETag"] == first.headers["ETag"]
    other = get(server, job.output(), If_None_Match='"other"')
    assert (other.status, other.body) == (200, job.paths[0].read_bytes())


def test_if_match_is_held_against_the_etag(server: Server, job: Job):
    """Not by nginx, which has an ETag of its own for the file, or none."""
    content, etag = job.paths[0].read_bytes(), get(server, job.output(), "HEAD").headers["ETag"]
    for matching in (etag, "*"):
        answer = get(server, job.output(), If_Match=matching)
        assert (answer.status, answer.body) == (200, content)
        answer = get(server, job.output(), If_Match=matching, Range="bytes=5-9")
        assert (answer.status, answer.body) == (206, content[5:10])
    for range_ in ({}, {"Range": "bytes=5-9"}):
        answer = get(server, job.output(), If_Match='"other"', **range_)
        assert (answer.status, set(answer.json)) == (412, {"error", "code"})


def test_every_answer_has_one_date(server: Server, job: Job):
    etag = get(server, job.output(), "HEAD").headers["ETag"]
    for headers in ({}, {"Range": "bytes=5-9"}, {"If_None_Match": etag}, {"If_Match": etag}):
        answer = get(server, job.output(), **headers)
        assert answer.headers.get_all("Date") == [answer.headers["Date"]]


@pytest.mark.parametrize("kind", ["output", "download"])
def test_a_download_cut_50_times_is_the_same_byte_for_byte(server: Server, job: Job, kind: str):
    path, chosen = job.output() if kind == "output" else job.download, random.Random(kind)
    whole = get(server, path)
    cuts = sorted(chosen.sample(range(1, len(whole.body)), 50))
    content = b""
    for start, stop in zip([0, *cuts], [*cuts, len(whole.body)], strict=True):
        part = get(server, path, Range=f"bytes={start}-{stop - 1}", If_Range=whole.headers["ETag"])
        assert part.status == 206
        content += part.body
    assert content == whole.body


def test_signed_links_work_through_nginx(server: Server, job: Job):
    shown = get(server, job.url).json
    output = shown["files"][0]["outputs"][0]
    assert server.get(output["url"]).body == job.paths[0].read_bytes()
    assert server.get(output["url"] + "&inline=1").headers["Content-Disposition"][:6] == "inline"
    assert server.get(output["thumbnailUrl"]).body.startswith(b"picture ")
    assert server.get(shown["downloadUrl"]).body[:2] == b"PK"
    assert server.get(output["url"].replace("signature=", "signature=x")).status == 401


def test_the_folder_itself_cannot_be_reached(server: Server, job: Job):
    for path in (
        f"/.outputs/{job.id}/{job.paths[0].name}",
        f"/.outputs/{job.id}/",
        "/.outputs/.database",
        "/.outputs/../db.sqlite3",
        "/.outputs../db.sqlite3",
    ):
        answer = server.get(path, server.token)
        assert (answer.status, set(answer.json)) == (404, {"error", "code"}), path


def test_a_file_that_vanished_is_a_410(server: Server, job: Job):
    job.paths[0].unlink()
    answer = get(server, job.output())
    assert (answer.status, answer.json) == (410, {"error": "The file is gone", "code": "file_gone"})


def test_a_download_goes_on_although_its_job_is_deleted(server: Server, job: Job):
    content = job.paths[0].read_bytes()
    with server.connect() as sock:
        request = f"GET {job.output()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        sock.sendall(f"{request}Authorization: Bearer {server.token}\r\n\r\n".encode())
        received = sock.recv(1000)
        assert get(server, job.url, "DELETE").status == 200
        assert not Path(job.paths[0]).exists()
        while piece := sock.recv(MIB):
            received += piece
    assert received.partition(b"\r\n\r\n")[2] == content
