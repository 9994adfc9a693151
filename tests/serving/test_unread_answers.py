"""Small answers that nobody reads, requests that never end: no thread waits for them."""

import http.client
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from jobserver.serving.gunicorn_worker import MAX_PIPELINED
from tests.nginx import Nginx
from tests.results import Clip, make_job
from tests.serving.unread import SEGMENT_SIZE, SMALLEST, slowest_health, unread
from tests.support import Server, read_answer, wait_for

KIB = 1024
STYLE = "/static/style.css"  # the largest that needs no token


LAST = b"GET /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def get(path: str, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{authorization}\r\n".encode()


def read_all(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Return status and body of every answer until the server closes the connection."""
    received = b""
    while piece := sock.recv(65536):
        received += piece
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        answers.append((int(head.split()[1]), received[:length]))
        received = received[length:]
    return answers


@pytest.fixture(scope="module")
def busy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the settings of a new one, whose connections are left in disorder."""
    server = Server(tmp_path_factory.mktemp("busy")).start()
    yield server
    server.stop()


def large_status(server: Server) -> bytes:
    return get(make_job(server, Clip(outputs=[b"x"] * 20)).url, server.token)


def check_others(server: Server, port: int, request: bytes, clients: int, trickle: int) -> None:
    """Fail unless others are answered within a second while nobody reads what the clients ask."""
    quiet = slowest_health(server, 1)  # of a machine that may be busy with other things
    before = len(server.statuses())
    with unread(port, request, clients=clients, trickle=trickle):
        wait_for(lambda: len(server.statuses()) - before > 3 * clients, 20, "the attack")
        assert slowest_health(server, 3) < 1 + 5 * quiet
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("trickle", [0, 64], ids=["never", "by a few bytes"])
@pytest.mark.parametrize("with_token", [False, True], ids=["no token", "token"])
def test_clients_that_do_not_read_small_answers_keep_nobody_waiting(
    busy_server: Server, trickle: int, with_token: bool
) -> None:
    """More of them than there are threads in all processes."""
    request = large_status(busy_server) if with_token else get(STYLE)
    check_others(busy_server, busy_server.port, request, 130, trickle)


@pytest.mark.tools
@pytest.mark.parametrize("with_token", [False, True], ids=["no token", "token"])
def test_behind_nginx_neither(gunicorn: Server, nginx: Nginx, with_token: bool) -> None:
    request = large_status(gunicorn) if with_token else get(STYLE)
    check_others(gunicorn, nginx.port, request, 100, 64)


@pytest.mark.parametrize("sent", [b"", b"GET /api/health HTTP/1.1\r\nHost: a"], ids=["", "half"])
def test_requests_that_never_come_keep_nobody_waiting(busy_server: Server, sent: bytes) -> None:
    quiet = slowest_health(busy_server, 1)
    with ExitStack() as stack:
        for _ in range(130):
            stack.enter_context(busy_server.connect()).sendall(sent)
        assert slowest_health(busy_server, 1) < 1 + 5 * quiet


def small_window(server: Server, size: int = SMALLEST) -> socket.socket:
    """Return a connection whose client takes a few KiB, as over a line that is slow."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_SIZE)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", server.port))
    return sock


def test_answers_that_wait_for_their_reader_arrive_whole_and_in_turn(busy_server: Server) -> None:
    whole = busy_server.get(STYLE).body
    with closing(small_window(busy_server)) as sock:
        sock.sendall(get(STYLE) * 30 + LAST)
        time.sleep(0.5)  # the pace of this client: more is made than its kernel takes
        *answers, last = read_all(sock)
    assert answers == [(200, whole)] * 30
    assert last[0] == 200


def test_who_sends_requests_without_end_is_let_go_after_a_hundred(busy_server: Server) -> None:
    with closing(busy_server.connect()) as sock:
        sock.sendall(get("/api/health") * (2 * MAX_PIPELINED))
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200 OK") == MAX_PIPELINED + 1
    assert received.count(b"Connection: close") == 1
    assert received.rindex(b"Connection: close") > received.rindex(b"HTTP/1.1 200 OK")


def test_a_connection_that_waits_for_each_answer_is_kept(busy_server: Server) -> None:
    with closing(busy_server.connect()) as sock:
        for _ in range(MAX_PIPELINED + 10):
            sock.sendall(get("/api/health"))
            assert read_answer(sock).headers["Connection"] == "keep-alive"


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_head_in_pieces_is_answered(busy_server: Server, size: int) -> None:
    request = get("/nowhere") + LAST
    with closing(busy_server.connect()) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), size):
            sock.sendall(request[at : at + size])
        assert [status for status, _ in read_all(sock)] == [404, 200]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\nHost: a\n\n", b"400"),  # a line must not end so: no wait for more
        (b"GET / HTTP/1.1\r\nHost: a\nX", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 140 * KIB, b"431"),
        (b"x" * 140 * KIB, b"431"),
    ],
)
def test_a_head_that_cannot_become_good_is_refused_at_once(
    busy_server: Server, request_: bytes, status: bytes
) -> None:
    with closing(busy_server.connect(timeout=2)) as sock:
        sock.sendall(request_)
        received = b""
        while piece := sock.recv(1000):
            received += piece
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b'{"error": ' in received


def test_an_unread_answer_ends_in_bounded_time_and_a_read_one_is_kept(own_server: Server) -> None:
    """1 s of silence, and 8 KiB a second: 14 KiB have less than three seconds."""
    own_server.settings["CLIENT_TIMEOUT"] = "1"
    own_server.start()
    with own_server.same_descriptors(), ExitStack() as stack:
        reading = stack.enter_context(closing(small_window(own_server)))
        unread_ = [stack.enter_context(closing(small_window(own_server))) for _ in range(8)]
        for sock in unread_:
            sock.sendall(get(STYLE) * 50)
        start = time.monotonic()
        for sock in unread_:
            wait_for(lambda sock=sock: is_reset(sock), 8, "the end of the connection")
        assert time.monotonic() - start < 6
        reading.sendall(get(STYLE))
        assert read_answer(reading).status == 200
    own_server.check_sound()


def is_reset(sock: socket.socket) -> bool:
    """Return whether the server has closed a connection, without reading from it."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or closes(sock)


def closes(sock: socket.socket) -> bool:
    try:
        sock.send(get("/")[:1])
    except ConnectionError:
        return True
    return False


def test_sigterm_waits_for_an_answer_on_its_way(own_server: Server) -> None:
    whole = own_server.start().get(STYLE).body
    with closing(small_window(own_server)) as sock:
        sock.sendall(get(STYLE) * 20)
        wait_for(lambda: len(re.findall(STYLE, own_server.log())) > 5, 5, "answers that wait")
        assert own_server.process is not None
        os.kill(own_server.process.pid, 15)
        wait_for(lambda: "Handling signal: term" in own_server.log(), 5, "the signal")
        answers = read_all(sock)
    assert own_server.process.wait(20) == 0
    assert set(answers) == {(200, whole)}
    assert len(answers) < 20


def test_a_steady_slow_download_passes(own_server: Server) -> None:
    """50 KB a second: longer than the timeout in all, never silent for so long."""
    own_server.settings["CLIENT_TIMEOUT"] = "2"
    own_server.start()
    content = os.urandom(250_000)
    job = make_job(own_server, Clip(outputs=[content]))
    with closing(small_window(own_server, 16 * KIB)) as sock:
        sock.sendall(get(job.output(), own_server.token))
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        received = b""
        while piece := answer.read(5_000):
            received += piece
            time.sleep(0.1)  # the pace of this client
    assert received == content
