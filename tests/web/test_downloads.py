"""Ranges, ETags and conditions: a download can be cut anywhere and resumed byte for byte."""

import hashlib
import http.client
import os
import random
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.results import Clip, Job, make_job
from tests.support import Server, Site, open_paths, wait_for

KIB, MIB = 1024, 1024 * 1024
KINDS = ("output", "download")


def path_of(job: Job, kind: str) -> str:
    return job.output() if kind == "output" else job.download


class Downloaded:
    """One output or ZIP, its whole content, and further requests for it."""

    def __init__(self, site: Site, kind: str) -> None:
        self._site = site
        self.job = make_job(site.server, Clip("a.mp4", [os.urandom(5000), os.urandom(10)]))
        self.path = path_of(self.job, kind)
        whole = self.get()
        self.content, self.etag, self.headers = whole.data, whole.headers["ETag"], whole.headers
        whole.close()

    def get(self, range_: str | None = None, method: str = "GET", **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {} if range_ is None else {"Range": range_}
        return self._site.client.open(
            self.path, method=method, headers={**self._site.headers, **named}
        )


@pytest.fixture(params=KINDS)
def downloaded(site: Site, request: pytest.FixtureRequest) -> Downloaded:
    return Downloaded(site, request.param)


def test_the_whole_comes_with_what_a_client_needs_to_resume(downloaded: Downloaded):
    assert downloaded.headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]{64}"', downloaded.etag)
    assert int(downloaded.headers["Content-Length"]) == len(downloaded.content)
    assert downloaded.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("range_", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, None),
        ("bytes=0-", 0, None),
        ("bytes=-100", -100, None),
        ("bytes=-999999999", 0, None),
        ("bytes=10-999999999", 10, None),
        ("BYTES=10-19", 10, 20),
        ("bytes= 10-19", 10, 20),
    ],
)
def test_one_range_is_a_206_with_these_bytes(
    downloaded: Downloaded, range_: str, start: int, stop: int | None
):
    answer, length = downloaded.get(range_), len(downloaded.content)
    first, end, _ = slice(start, stop).indices(length)
    assert (answer.status_code, answer.data) == (206, downloaded.content[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{length}"
    assert int(answer.headers["Content-Length"]) == end - first
    assert answer.headers["ETag"] == downloaded.etag


@pytest.mark.parametrize(
    "range_",
    [
        "bytes=999999999-",
        "bytes=999999999-9999999999",
        "bytes=-0",
        "bytes=5-4",
        "bytes=0-1,5-6",
        "bytes=0-,-1",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=0x1-0x2",
    ],
)
def test_a_range_that_cannot_be_is_a_416_as_json(downloaded: Downloaded, range_: str):
    answer = downloaded.get(range_)
    assert answer.status_code == 416
    assert set(answer.json) == {"error", "code"}
    assert answer.headers["Content-Range"] == f"bytes */{len(downloaded.content)}"


def test_the_byte_after_the_last_is_a_416_and_the_last_is_not(downloaded: Downloaded):
    assert downloaded.get(f"bytes={len(downloaded.content)}-").status_code == 416
    assert downloaded.get(f"bytes={len(downloaded.content) - 1}-").data == downloaded.content[-1:]


@pytest.mark.parametrize("range_", ["items=0-5", "", "nonsense"])
def test_another_unit_is_no_range_at_all(downloaded: Downloaded, range_: str):
    answer = downloaded.get(range_)
    assert (answer.status_code, answer.data) == (200, downloaded.content)


def test_if_range_with_the_right_etag_resumes(downloaded: Downloaded):
    answer = downloaded.get("bytes=100-", If_Range=downloaded.etag)
    assert (answer.status_code, answer.data) == (206, downloaded.content[100:])


@pytest.mark.parametrize(
    "if_range", ['"other"', "W/{etag}", "Mon, 01 Jan 2001 00:00:00 GMT", "nonsense", "{bare}"]
)
def test_if_range_with_anything_else_gets_the_whole(downloaded: Downloaded, if_range: str):
    stale = if_range.format(etag=downloaded.etag, bare="x" + downloaded.etag)
    answer = downloaded.get("bytes=100-", If_Range=stale)
    assert (answer.status_code, answer.data) == (200, downloaded.content)
    assert "Content-Range" not in answer.headers


def test_if_range_with_a_date_gets_the_whole_although_the_date_is_right(site: Site):
    """A date is no strong validator (RFC 9110, 13.1.5); the ETag is always there."""
    output = Downloaded(site, "output")
    for date in (output.headers["Last-Modified"], "Fri, 01 Jan 2100 00:00:00 GMT"):
        answer = output.get("bytes=100-", If_Range=date)
        assert (answer.status_code, answer.data) == (200, output.content)


def test_a_stale_if_range_makes_an_impossible_range_harmless(downloaded: Downloaded):
    assert downloaded.get("bytes=999999999-", If_Range='"other"').status_code == 200


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"a", {etag}', "*"])
def test_what_the_client_has_already_is_a_304(downloaded: Downloaded, known: str):
    answer = downloaded.get(If_None_Match=known.format(etag=downloaded.etag))
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == downloaded.etag
    assert not {"Content-Length", "Content-Range", "Content-Type"} & set(answer.headers.keys())


def test_what_the_client_has_already_is_a_304_before_its_range_is_parsed(downloaded: Downloaded):
    for range_ in ("bytes=0-9", "bytes=999999999-"):
        assert downloaded.get(range_, If_None_Match=downloaded.etag).status_code == 304


def test_another_etag_gets_the_whole(downloaded: Downloaded):
    assert downloaded.get(If_None_Match='"other"').data == downloaded.content


@pytest.mark.parametrize("named", ["{etag}", '"a", {etag}', "*"])
@pytest.mark.parametrize("range_", [None, "bytes=100-"])
def test_if_match_that_matches_changes_nothing(
    downloaded: Downloaded, named: str, range_: str | None
):
    answer = downloaded.get(range_, If_Match=named.format(etag=downloaded.etag))
    assert answer.status_code == (206 if range_ else 200)
    assert answer.data == (downloaded.content[100:] if range_ else downloaded.content)


@pytest.mark.parametrize("named", ['"other"', "W/{etag}", '"a", "b"', "nonsense"])
@pytest.mark.parametrize("range_", [None, "bytes=100-", "bytes=999999999-"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_match_that_does_not_match_is_a_412_as_json(
    downloaded: Downloaded, named: str, range_: str | None, method: str
):
    """Before its range is parsed, and without a byte of the file (RFC 9110, 13.2.2)."""
    answer = downloaded.get(range_, method, If_Match=named.format(etag=downloaded.etag))
    assert (answer.status_code, answer.content_type) == (412, "application/json")
    sentence = {
        "error": "The file is not the one that If-Match names",
        "code": "precondition_failed",
    }
    assert (answer.json == sentence) if method == "GET" else (answer.data == b"")
    assert not {"Content-Range", "Content-Disposition"} & set(answer.headers.keys())


def test_if_match_is_looked_at_before_if_none_match_and_if_range(downloaded: Downloaded):
    etag = downloaded.etag
    assert downloaded.get(If_Match='"other"', If_None_Match=etag).status_code == 412
    assert downloaded.get(If_Match=etag, If_None_Match=etag).status_code == 304
    assert downloaded.get("bytes=0-", If_Match='"other"', If_Range=etag).status_code == 412


def test_an_output_that_was_not_modified_since_is_a_304(site: Site):
    output = Downloaded(site, "output")
    date = output.headers["Last-Modified"]
    for range_ in (None, "bytes=0-9"):
        answer = output.get(range_, If_Modified_Since=date)
        assert (answer.status_code, answer.data) == (304, b"")
    for older in ("Mon, 01 Jan 2001 00:00:00 GMT", "nonsense"):
        assert output.get(If_Modified_Since=older).data == output.content
    another = output.get(If_Modified_Since=date, If_None_Match='"other"')
    assert another.data == output.content  # the date counts only without an ETag (13.1.3)


def test_a_zip_has_no_date_of_modification_since_it_may_have_two_in_a_second(site: Site):
    assert "Last-Modified" not in Downloaded(site, "download").headers


def test_head_has_the_same_headers_without_the_bytes(downloaded: Downloaded):
    answer = downloaded.get(method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")
    for name in ("Content-Length", "ETag", "Accept-Ranges", "Content-Disposition", "Content-Type"):
        assert answer.headers[name] == downloaded.headers[name]


def test_a_range_of_head_is_ignored(downloaded: Downloaded):
    """Only GET has ranges (RFC 9110, 14.2)."""
    answer = downloaded.get("bytes=0-9", method="HEAD")
    assert (answer.status_code, answer.content_length) == (200, len(downloaded.content))


def test_no_answer_leaves_a_file_open(downloaded: Downloaded):
    for range_, method in [
        (None, "GET"),
        ("bytes=5-9", "GET"),
        ("bytes=5-", "GET"),
        ("bytes=999999999-", "GET"),
        (None, "HEAD"),
    ]:
        downloaded.get(range_, method).close()
    downloaded.get(If_None_Match=downloaded.etag).close()
    downloaded.get(If_Match='"other"').close()
    assert [path for path in downloaded.job.paths if holding(os.getpid(), path)] == []


def test_an_empty_range_of_an_empty_file_is_a_416(site: Site):
    job = make_job(site.server, Clip(outputs=[b""]))
    assert site.client.get(job.output(), headers=site.headers).data == b""
    answer = site.client.get(job.output(), headers={**site.headers, "Range": "bytes=0-"})
    assert answer.status_code == 416


# -- through a real server ------------------------------------------------------


def begin(server: Server, path: str, buffer: int = 4 * KIB, **headers: str) -> socket.socket:
    """Ask for `path` and read nothing yet; the socket buffers only `buffer` bytes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", server.port))
    lines = [
        f"{name}: {value}\r\n" for name, value in {**Server.bearer(server.token), **headers}.items()
    ]
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{''.join(lines)}\r\n".encode())
    return sock


def cut(server: Server, path: str, at: int, headers: dict[str, str]) -> bytes:
    """Download until `at` bytes came, then hang up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with closing(connection):
        connection.request("GET", path, headers={**Server.bearer(server.token), **headers})
        response = connection.getresponse()
        assert response.status in (200, 206)
        return response.read(at)


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_cut_50_times_and_resumed_is_the_same_byte_for_byte(server: Server, kind: str):
    job = make_job(server, Clip(outputs=[os.urandom(2 * MIB), os.urandom(MIB + 1)]))
    path, chosen = path_of(job, kind), random.Random(kind)
    whole = server.get(path, server.token)
    etag, length = whole.headers["ETag"], len(whole.body)
    cuts = sorted(chosen.sample(range(1, length), 50))
    content = b""
    for at in [*cuts, length]:
        resumed = {"Range": f"bytes={len(content)}-", "If-Range": etag} if content else {}
        content += cut(server, path, at - len(content), resumed)
    assert hashlib.sha256(content).digest() == hashlib.sha256(whole.body).digest()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("range_", ["bytes=5-1048580", "bytes=-1048577", "bytes=70000-"])
def test_ranges_through_gunicorn_are_right(server: Server, kind: str, range_: str):
    job = make_job(server, Clip(outputs=[os.urandom(2 * MIB)]))
    whole = server.get(path_of(job, kind), server.token).body
    first, _, last = range_.removeprefix("bytes=").partition("-")
    start, stop = (int(first), int(last) + 1 if last else None) if first else (-int(last), None)
    answer = server.get(path_of(job, kind), server.token, Range=range_)
    assert (answer.status, answer.body) == (206, whole[start:stop])


def test_a_kept_connection_serves_one_answer_after_the_other(server: Server):
    job = make_job(server, Clip(outputs=[os.urandom(MIB)]))
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        for method, headers, status, size in [
            ("GET", {}, 200, MIB),
            ("HEAD", {}, 200, 0),
            ("GET", {"Range": "bytes=0-9"}, 206, 10),
            ("GET", {"Range": "bytes=x"}, 416, None),
            ("GET", {"If-None-Match": "*"}, 304, 0),
            ("GET", {"Range": "bytes=9-"}, 206, MIB - 9),
        ]:
            connection.request(
                method, job.output(), headers={**Server.bearer(server.token), **headers}
            )
            response = connection.getresponse()
            content = response.read()
            assert response.status == status
            assert size in (None, len(content))


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_has_one_date(server: Server, kind: str):
    job = make_job(server, Clip(outputs=[os.urandom(1000)]))
    path = path_of(job, kind)
    etag = server.get(path, server.token).headers["ETag"]
    status_etag = server.get(job.url, server.token).headers["ETag"]
    for status, asked_path, headers in [
        (200, path, {}),
        (206, path, {"Range": "bytes=5-9"}),
        (206, path, {"Range": "bytes=5-"}),
        (304, path, {"If_None_Match": etag}),
        (412, path, {"If_Match": '"other"'}),
        (416, path, {"Range": "bytes=999999-"}),
        (200, job.url, {}),
        (304, job.url, {"If_None_Match": status_etag}),
        (200, "/api/jobs", {"If_None_Match": '"other"'}),
    ]:
        answer = server.get(asked_path, server.token, **headers)
        assert answer.status == status
        assert len(answer.headers.get_all("Date")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_in_progress_finishes_although_the_job_is_deleted(server: Server, kind: str):
    job = make_job(server, Clip(outputs=[os.urandom(12 * MIB)]))
    whole = server.get(path_of(job, kind), server.token).body
    with begin(server, path_of(job, kind)) as sock:
        response = http.client.HTTPResponse(sock)
        response.begin()
        content = response.read(1000)
        deleted = server.request("DELETE", job.url, headers=Server.bearer(server.token))
        assert deleted.status == 200
        assert not job.paths[0].exists()
        assert content + response.read() == whole


@pytest.fixture
def short_timeout_server(own_server: Server) -> Iterator[Server]:
    """One process that waits a second for clients."""
    own_server.settings |= {
        "CLIENT_TIMEOUT": "1",
        "MAX_UPLOADS": "1",
        "GUNICORN_CMD_ARGS": "--workers 1",
    }
    own_server.worker_count = 1
    yield own_server.start()
    own_server.stop(5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_stops_in_mid_download_frees_its_thread(
    short_timeout_server: Server, kind: str
):
    server = short_timeout_server
    job = make_job(server, Clip(outputs=[64 * MIB]))
    assert server.token
    with server.same_descriptors(), begin(server, path_of(job, kind)) as reader:
        assert reader.recv(1000)
        (worker,) = server.workers()
        assert holding(worker, job.paths[0])
        wait_for(lambda: not holding(worker, job.paths[0]), 10, "a thread that is free again")
        assert server.get("/api/health").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_takes_a_little_now_and_then_frees_its_thread(
    short_timeout_server: Server, kind: str
):
    """Never silent for long, but below the least rate: by these limits, ended after 3 s."""
    server = short_timeout_server
    server.stop()
    server.wsgi = "tests.brisk:app"
    server.start()
    job = make_job(server, Clip(outputs=[64 * MIB]))
    assert server.token
    pause = threading.Event()

    def read_a_little() -> bool:
        """Read some; return whether the thread has closed the file."""
        assert reader.recv(256 * KIB)
        pause.wait(0.05)  # the pace of this reader, far below the least rate
        return not holding(worker, job.paths[0])

    path = path_of(job, kind)
    with server.same_descriptors(), begin(server, path, buffer=512 * KIB) as reader:
        (worker,) = server.workers()
        wait_for(lambda: holding(worker, job.paths[0]), what="a thread with the file open")
        wait_for(read_a_little, 8, "a thread that is free again")
    assert server.get("/api/health").status == 200
    assert "Traceback" not in server.log()
    assert server.get(job.output(), server.token).body == bytes(64 * MIB)


def test_a_steady_reader_may_take_longer_than_the_timeout(short_timeout_server: Server):
    job = make_job(short_timeout_server, Clip(outputs=[os.urandom(6 * MIB)]))
    content, pause = b"", threading.Event()
    with begin(short_timeout_server, job.output()) as sock:
        response = http.client.HTTPResponse(sock)
        response.begin()
        while piece := response.read(MIB):
            content += piece
            pause.wait(0.4)  # the pace of this reader
    assert content == job.paths[0].read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_surplus_downloads_are_a_503_and_others_are_served(own_server: Server, kind: str):
    own_server.settings |= {"MAX_DOWNLOADS": "2", "GUNICORN_CMD_ARGS": "--workers 1"}
    own_server.worker_count = 1
    server = own_server.start()
    job = make_job(server, Clip(outputs=[64 * MIB]))
    (worker,) = server.workers()
    with begin(server, path_of(job, kind)), begin(server, path_of(job, kind)):
        wait_for(lambda: holding(worker, job.paths[0]) == 2, what="two downloads")
        answer = server.get(path_of(job, kind), server.token)
        assert (answer.status, list(answer.json)) == (503, ["error", "code"])
        assert answer.headers["Retry-After"].isdigit()
        assert holding(worker, job.paths[0]) == 2
        for path in (f"{job.output()}/thumbnail", job.url, "/api/health"):
            assert server.get(path, server.token).status == 200
    wait_for(lambda: server.get(path_of(job, kind), server.token).status == 200, what="a slot")


def holding(pid: int, path: Path) -> int:
    """How often a process has a file open."""
    return open_paths(pid).count(str(path))


def peak_memory(pid: int) -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def download_all(server: Server, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.request("GET", path, headers=Server.bearer(server.token))
        response, size, buffer = connection.getresponse(), 0, bytearray(MIB)
        while count := response.readinto(buffer):
            size += count
        assert size == int(response.headers["Content-Length"])
        return size


def check_flat_memory(server: Server, sizes: list[int]) -> None:
    small = make_job(server, Clip(outputs=[MIB] * len(sizes)))
    large = make_job(server, Clip(outputs=sizes))
    (worker,) = server.workers()
    for path in (small.download, small.output()):
        download_all(server, path)
    before = peak_memory(worker)
    assert download_all(server, large.download) > sum(sizes)
    assert download_all(server, large.output()) == sizes[0]
    assert peak_memory(worker) - before < 4 * MIB


def test_memory_does_not_grow_with_what_is_downloaded(short_timeout_server: Server):
    check_flat_memory(short_timeout_server, [200 * MIB, 56 * MIB])


@pytest.mark.slow
def test_memory_does_not_grow_with_10_gb(short_timeout_server: Server):
    check_flat_memory(short_timeout_server, [4096 * MIB + 5, 3072 * MIB, 3072 * MIB])


def test_200_outputs_are_downloaded_by_many_at_once(server: Server):
    clips = [Clip(f"{n}.mp4", [b"%d" % n] * 20) for n in range(10)]
    job = make_job(server, *clips, variations=20)
    whole = server.get(job.download, server.token).body
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.get(job.download, server.token).body))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [whole] * 16
