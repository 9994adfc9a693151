"""The real nginx with deploy/nginx.conf before a real gunicorn."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.nginx import Nginx
from tests.support import (
    FORM_TYPE,
    MP4_HEAD,
    Server,
    field_part,
    file_part,
    form,
    free_port,
    read_answer,
    wait_for,
)

pytestmark = pytest.mark.tools

MIB = 1024 * 1024
CONTENT = MP4_HEAD + bytes(range(256)) * 8192  # 2 MiB and a little


def head(method: str, path: str, **headers: str | int) -> bytes:
    """Return a request up to its body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: videos.example"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture
def server(proxied: Server) -> Server:
    return proxied


@pytest.fixture
def nginx_without_server(tmp_path: Path) -> Iterator[Nginx]:
    """nginx before a port without a server."""
    nginx = Nginx(tmp_path, free_port())
    yield nginx.start()
    nginx.stop()


def test_a_job_is_accepted_shown_and_listed(server: Server):
    accepted = server.upload(CONTENT, CONTENT[:100], variations="3")
    assert accepted.status == 202
    assert accepted.headers["Location"] == accepted.json["statusUrl"]
    assert server.stored(accepted.json["jobId"]) == [CONTENT, CONTENT[:100]]
    shown = server.get(accepted.json["statusUrl"], server.token)
    assert (shown.status, shown.json["totalVariations"]) == (200, 6)
    again = server.get(
        accepted.json["statusUrl"], server.token, If_None_Match=shown.headers["ETag"]
    )
    assert again.status == 304
    listed = server.get("/api/jobs?limit=1", server.token)
    assert [job["id"] for job in listed.json] == [accepted.json["jobId"]]
    server.check_sound()


def test_errors_of_the_server_pass_unchanged(server: Server):
    answer = server.get("/api/jobs/unknown", server.token)
    assert (answer.status, answer.json) == (
        404,
        {"error": "Job not found", "code": "job_not_found"},
    )
    answer = server.get("/api/jobs")
    assert (answer.status, answer.json) == (
        401,
        {"error": "Authorization required", "code": "authorization_required"},
    )
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["X-Request-ID"]


def test_an_upload_arrives_while_it_is_sent(server: Server):
    body = form(file_part(CONTENT * 2))
    before = set(server.uploads())
    with server.begin_upload(len(body)) as sock:
        sock.sendall(body[: len(body) // 2])
        (part,) = wait_for(lambda: set(server.uploads()) - before, what="the .part file")
        # jobserver reads 1 MiB at a time, so it holds at least half of what was sent
        wait_for(lambda: server.uploads()[part].stat().st_size >= MIB, what="1 MiB of it")
        sock.sendall(body[len(body) // 2 :])
        accepted = read_answer(sock)
    assert accepted.status == 202
    assert server.stored(accepted.json["jobId"]) == [CONTENT * 2]


def test_a_chunked_upload_arrives_while_it_is_sent(server: Server):
    body = form(file_part(CONTENT * 2))
    before = set(server.uploads())

    def pieces() -> Iterator[bytes]:
        yield body[: len(body) // 2]
        (part,) = wait_for(lambda: set(server.uploads()) - before, what="the .part file")
        wait_for(lambda: server.uploads()[part].stat().st_size >= MIB, what="1 MiB of it")
        yield body[len(body) // 2 :]

    accepted = server.post(pieces())
    assert accepted.status == 202
    assert server.stored(accepted.json["jobId"]) == [CONTENT * 2]


@pytest.mark.parametrize(
    ("token", "size", "status", "error"),
    [
        ("wrong", 500 * MIB, 401, "Invalid or expired token"),
        (None, 500 * MIB, 401, "Authorization required"),
        ("good", 10**12, 413, "Request too large (at most 16201 MB)"),
    ],
)
def test_an_early_answer_comes_before_the_body(
    server: Server, token: str | None, size: int, status: int, error: str
):
    headers = {"Content_Type": FORM_TYPE, "Content_Length": size}
    if token is not None:
        headers["Authorization"] = f"Bearer {server.token if token == 'good' else token}"
    with server.connect(timeout=5) as sock:
        sock.sendall(head("POST", "/api/jobs", **headers))
        answer = read_answer(sock)
    assert (answer.status, answer.json["error"]) == (status, error)
    server.check_sound()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_early_answer_waits_for_a_client_that_sends_everything_first(
    server: Server, chunked: bool
):
    body = form(file_part(MP4_HEAD + bytes(64 * MIB)))
    pieces = (body[start : start + MIB] for start in range(0, len(body), MIB))
    answer = server.post(pieces if chunked else body, server.bearer("wrong"))
    assert (answer.status, answer.json) == (
        401,
        {"error": "Invalid or expired token", "code": "invalid_token"},
    )
    server.check_sound()


def test_an_early_answer_waits_for_a_slow_client(server: Server):
    """It goes on sending after gunicorn has stopped listening (LINGER_S), then it reads."""
    headers = {"Content_Type": FORM_TYPE, "Content_Length": 500 * MIB, "Authorization": "Bearer x"}
    end = time.monotonic() + 7
    with server.connect() as sock:
        sock.sendall(head("POST", "/api/jobs", **headers))
        while time.monotonic() < end:
            sock.sendall(bytes(100_000))
            time.sleep(0.05)  # the pace of this client
        answer = read_answer(sock)
    assert (answer.status, answer.json) == (
        401,
        {"error": "Invalid or expired token", "code": "invalid_token"},
    )


def test_a_refusal_in_mid_body_is_read_by_a_client_that_sends_everything_first(server: Server):
    files = [file_part(bytes(3 * MIB), type_="text/plain"), file_part(bytes(30 * MIB))]
    answer = server.post(form(*files))
    assert (answer.status, answer.json) == (
        400,
        {"error": "Only MP4 files are accepted", "code": "format_not_accepted"},
    )
    server.check_sound()


def test_a_client_that_hangs_up_leaves_nothing(server: Server):
    before = set(server.uploads())
    with server.begin_upload(10 * MIB) as sock:
        sock.sendall(form(file_part(CONTENT))[:MIB])
        wait_for(lambda: set(server.uploads()) - before, what="the .part file")
    wait_for(lambda: set(server.uploads()) == before, 2, "no .part file")
    server.check_sound()


def test_a_token_of_10_kb_is_a_401_of_the_server(server: Server):
    answer = server.get("/api/jobs", "x" * 10 * 1024)
    assert (answer.status, answer.json) == (
        401,
        {"error": "Invalid or expired token", "code": "invalid_token"},
    )
    assert answer.headers["X-Request-ID"]


def test_the_address_of_the_client_is_not_the_forwarded_one_it_sends(server: Server, nginx: Nginx):
    body = b'{"password": "wrong"}'
    forged = {"X_Forwarded_For": "203.0.113.9", "X_Real_IP": "203.0.113.9"}
    with nginx.connect(source="127.0.0.2") as sock:
        sock.sendall(head("POST", "/api/auth", Content_Length=len(body), **forged) + body)
        assert read_answer(sock).status == 401
    addresses = server.rows("SELECT address FROM sign_in_failure ORDER BY last_at")
    assert addresses[-1] == ("127.0.0.2",)


def test_the_server_receives_the_public_name_and_no_forged_header(tmp_path: Path):
    """No answer of jobserver shows what it received, so another server repeats it."""
    forged = {
        "X_Forwarded_For": "203.0.113.9",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Prefix": "/evil",
    }

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received = json.dumps(self.headers.items()).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(received)

        def log_message(self, *_: object) -> None:
            pass

    with another_server(tmp_path, Echo) as nginx, nginx.connect() as sock:
        sock.sendall(head("GET", "/api/health", Connection="close", **forged))
        received = dict(read_answer(sock).json)
    assert received == {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "videos.example",
        "Host": "videos.example",
    }


@contextmanager
def another_server(folder: Path, answers: type[BaseHTTPRequestHandler]) -> Iterator[Nginx]:
    """nginx before a server that answers one request."""
    with HTTPServer(("127.0.0.1", 0), answers) as upstream:
        thread = threading.Thread(target=upstream.handle_request)
        thread.start()
        nginx = Nginx(folder, upstream.server_port)
        try:
            yield nginx.start()
        finally:
            nginx.stop()
        thread.join()


def test_connections_to_the_server_are_kept(server: Server):
    upstream = int(server.settings["PORT"])
    server.get("/api/health")
    kept = wait_for(lambda: established(upstream), what="a kept connection")
    for _ in range(20):
        assert server.get("/api/health").status == 200
    assert established(upstream) & kept
    assert len(established(upstream) | kept) < 20


def established(port: int) -> set[str]:
    """Return the local addresses of open connections to `port` ."""
    return {line[1] for line in open_connections() if line[2].endswith(f":{port:04X}")}


def test_a_server_that_is_down_is_a_502(nginx_without_server: Nginx):
    with nginx_without_server.connect() as sock:
        sock.sendall(head("GET", "/api/health"))
        answer = read_answer(sock)
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.status, answer.json) == (
        502,
        {"error": "The server is not available; try again", "code": "bad_gateway"},
    )


def test_an_upload_to_a_server_that_is_down_is_a_readable_502(nginx_without_server: Nginx):
    body = form(file_part(MP4_HEAD + bytes(16 * MIB)))
    with closing(http.client.HTTPConnection("127.0.0.1", nginx_without_server.port)) as connection:
        connection.request("POST", "/api/jobs", body, {"Content-Type": FORM_TYPE})
        assert connection.getresponse().status == 502


def test_a_server_that_does_not_answer_is_a_504(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quick = {"proxy_read_timeout 5m;": "proxy_read_timeout 1s;"}
        nginx = Nginx(tmp_path, silent.getsockname()[1], **quick)
        try:
            with nginx.start().connect() as sock:
                sock.sendall(head("GET", "/api/health"))
                answer = read_answer(sock)
        finally:
            nginx.stop()
    assert (answer.status, answer.json) == (
        504,
        {"error": "The server did not answer in time", "code": "gateway_timeout"},
    )


def test_a_large_answer_waits_in_no_file_for_a_slow_reader(tmp_path: Path):
    """jobserver has no answer as large as this one yet, so another server gives it."""
    content, sent = bytes(range(256)) * 4096 * 32, []

    class LargeAnswer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent.append("beginning")
            self.wfile.write(content)
            sent.append("end")

        def log_message(self, *_: object) -> None:
            pass

    with another_server(tmp_path, LargeAnswer) as nginx, nginx.connect() as sock:
        sock.sendall(head("GET", "/"))
        wait_for(lambda: sent, what="the beginning of the answer")
        wait_for(lambda: waiting(nginx.port), what="bytes for a reader that is late")
        assert sent == ["beginning"]  # most of it waits where it comes from
        assert read_answer(sock).body == content


def waiting(port: int) -> bool:
    """Return whether bytes wait in both queues of a connection to `port` (proc_net_tcp).

    Then the reader's queue is full, and the next bytes wait on the sender's side.
    """
    address = f":{port:04X}"
    received = [line[4][9:] for line in open_connections() if line[2].endswith(address)]
    queued = [line[4][:8] for line in open_connections() if line[1].endswith(address)]
    return any(int(count, 16) for count in received) and any(int(count, 16) for count in queued)


def open_connections() -> list[list[str]]:
    """Return the words of proc_net_tcp: 1 local, 2 remote address, 4 bytes sent:received."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [line for line in lines if line[3] == "01"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"no request\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (head("GET", "/", Authorization="Bearer " + "x" * 20_000), 400, "bad_request"),
        (head("POST", "/api/jobs", Content_Length="many"), 400, "bad_request"),
        (head("GET", "/" + "x" * 20_000), 414, "uri_too_long"),
        (head("POST", "/api/auth", Transfer_Encoding="gzip"), 501, "not_implemented"),
        (b"GET / HTTP/3.0\r\nHost: videos.example\r\n\r\n", 505, "http_version_not_supported"),
    ],
    ids=["garbage", "no host", "headers", "length", "address", "encoding", "version"],
)
def test_what_nginx_refuses_itself_is_refused_as_json(
    server: Server, nginx: Nginx, request_: bytes, status: int, code: str
):
    with nginx.connect() as sock:
        sock.sendall(request_)
        answer = read_answer(sock)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json) == {"error", "code"}
    assert answer.json["code"] == code


def test_http_1_0_without_a_host_is_served(nginx: Nginx, server: Server):
    with nginx.connect() as sock:
        sock.sendall(b"GET /api/health HTTP/1.0\r\n\r\n")
        assert read_answer(sock).status == 200


def test_fields_before_and_after_the_files_arrive(server: Server):
    before = server.post(form(field_part("variations", "2"), file_part(CONTENT)))
    after = server.post(form(file_part(CONTENT), field_part("variations", "2")))
    assert before.json["variationsPerVideo"] == after.json["variationsPerVideo"] == 2
