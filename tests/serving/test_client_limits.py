"""Slow, silent and vanishing clients: each ends in bounded time, others are served."""

import http.client
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO

import pytest
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader

from jobserver.errors import Busy, ClientGone, ClientTooSlow
from jobserver.serving import client_limits
from jobserver.serving.client_limits import (
    BUFFERED_SIZE,
    ClientLimits,
    TimedBody,
    Watchdog,
    limit_download,
    shorten_timeout,
)
from tests.support import FORM_TYPE, Server, file_part, form, wait_for

KIB = 1024
MIB = 1024 * 1024


# -- a body over a real pair of sockets ---------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end of a connection and the client's."""
    server, client = socket.socketpair()
    with closing(server), closing(client):
        yield server, client


def length_body(sock: socket.socket, length: int, silence_s: float = 5.0) -> TimedBody:
    stream = Body(LengthReader(SocketUnreader(sock), length))
    return TimedBody(stream, sock, length=length, silence_s=silence_s, watchdog=Watchdog())


def chunked_body(sock: socket.socket, silence_s: float = 5.0) -> TimedBody:
    class Request:
        limit_request_field_size = 8190

    stream = Body(ChunkedReader(Request(), SocketUnreader(sock)))
    return TimedBody(stream, sock, length=0, silence_s=silence_s, watchdog=Watchdog())


def elapsed_until(error: type[Exception], action: Callable[[], object]) -> float:
    """Return the seconds until `action` raises `error`."""
    start = time.monotonic()
    with pytest.raises(error):
        action()
    return time.monotonic() - start


def test_a_body_that_comes_is_read_as_it_is(pair):
    server, client = pair
    client.sendall(b"x" * 1000 + b"the next request")
    body = length_body(server, 1000)
    assert body.read(600) == b"x" * 600
    assert body.read(600) == b"x" * 400
    assert body.read(600) == b""


def test_silence_ends_a_read_after_the_timeout(pair):
    server, client = pair
    client.sendall(b"x" * 10)
    body = length_body(server, 1000, silence_s=0.2)
    assert 0.2 <= elapsed_until(ClientTooSlow, lambda: body.read(8 * KIB)) < 0.9


@contextmanager
def trickling(client: socket.socket) -> Iterator[None]:
    """Send a byte each 0.05 s, for 5 s at most, while `with` lasts; then no more."""
    ended = threading.Event()

    def trickle() -> None:
        for _ in range(100):
            if ended.wait(0.05):
                return
            client.send(b"x")
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def test_a_trickle_ends_a_read_although_it_is_never_silent(pair):
    server, client = pair
    body = length_body(server, 4 * KIB, silence_s=0.5)
    with trickling(client):
        took = elapsed_until(ClientTooSlow, lambda: body.read(4 * KIB))
    assert 1.0 <= took < 1.0 + 2 * client_limits.TICK_S + 0.5


def test_a_slow_body_of_many_short_silences_passes(pair):
    server, client = pair
    body = length_body(server, 40 * KIB, silence_s=0.5)

    def steadily() -> None:
        for _ in range(40):
            time.sleep(0.02)
            client.sendall(b"x" * KIB)

    sender = threading.Thread(target=steadily)
    sender.start()
    assert body.read(MIB) == b"x" * 40 * KIB
    sender.join()


def test_a_body_cut_short_by_the_client_is_shorter(pair):
    server, client = pair
    client.sendall(b"x" * 10)
    client.close()
    assert length_body(server, 1000).read(MIB) == b"x" * 10


@pytest.mark.parametrize(
    "sent", [b"5\r\nabc", b"zz\r\n", b"5\r\nabcdeXX", b"-1\r\n", b"5\r\nabcde\r\n", b"0\r\n"]
)
def test_a_chunked_body_that_is_cut_or_malformed_is_a_client_gone(pair, sent):
    server, client = pair
    client.sendall(sent)
    client.close()
    with pytest.raises(ClientGone):
        chunked_body(server).read(MIB)


def test_a_connection_reset_is_a_client_gone():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with closing(server):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(ClientGone):
            length_body(server, 1000).read(MIB)


# -- the same in pieces -------------------------------------------------------------------


def test_a_piece_is_what_has_come_and_never_the_next_request(pair):
    server, client = pair
    client.sendall(b"x" * 1000 + b"GET / HTTP/1.1\r\n\r\n")
    body = length_body(server, 1000)
    assert body.read1(600) == b"x" * 600
    assert body.read1(600) == b"x" * 400
    assert body.read1(600) == b""
    unreader = body._stream.reader.unreader
    assert unreader.read(14) == b"GET / HTTP/1.1"
    assert body._stream.reader.length == 0


def test_large_pieces_come_as_they_were_received_and_small_ones_together(pair):
    server, client = pair
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
    content = os.urandom(300 * KIB)
    body = length_body(server, len(content))

    def send() -> None:
        for start in range(0, len(content), 3000):
            client.sendall(content[start : start + 3000])

    sender = threading.Thread(target=send)
    sender.start()
    pieces = []
    while piece := body.read1(MIB):
        pieces.append(piece)
    sender.join()
    assert b"".join(pieces) == content
    assert all(len(piece) >= client_limits.PIECE_SIZE for piece in pieces[:-1])


def test_silence_ends_a_piece_after_the_timeout(pair):
    server, client = pair
    client.sendall(b"x" * 10)
    body = length_body(server, 1000, silence_s=0.2)
    assert 0.2 <= elapsed_until(ClientTooSlow, lambda: body.read1(8 * KIB)) < 0.9
    assert body._stream.failed


def test_a_trickle_of_pieces_ends_as_a_trickle_of_a_read_does(pair, monkeypatch):
    server, client = pair
    monkeypatch.setattr(client_limits, "PIECE_SIZE", 1)
    body = length_body(server, 4 * KIB, silence_s=0.5)

    def read() -> None:
        while body.read1(MIB):
            pass

    with trickling(client):
        took = elapsed_until(ClientTooSlow, read)
    assert 1.0 <= took < 1.0 + 2 * client_limits.TICK_S + 0.5


def test_the_time_between_two_pieces_is_not_the_clients(pair, monkeypatch):
    server, client = pair
    monkeypatch.setattr(client_limits, "MIN_RATE", 10 * MIB)  # 0.1 s for each MiB
    monkeypatch.setattr(client_limits, "TICK_S", 0.05)
    body = length_body(server, 2000, silence_s=0.2)
    for _ in range(2):
        client.sendall(b"x" * 1000)
        time.sleep(0.5)  # what a slow disk takes
        assert body.read1(1000) == b"x" * 1000


def test_a_body_cut_short_by_the_client_ends_its_pieces(pair):
    server, client = pair
    client.sendall(b"x" * 10)
    client.close()
    body = length_body(server, 1000)
    assert (body.read1(MIB), body.read1(MIB)) == (b"x" * 10, b"")


def test_a_chunked_body_has_no_pieces_but_is_read(pair):
    server, client = pair
    client.sendall(b"5\r\nabcde\r\n0\r\n\r\n")
    body = chunked_body(server)
    assert (body.read1(MIB), body.read1(MIB)) == (b"abcde", b"")


# -- the watchdog -----------------------------------------------------------------------------


def test_a_watchdog_closes_the_reading_side_of_what_is_overdue(pair):
    server, client = pair
    watchdog = Watchdog()
    start = time.monotonic()
    watchdog.watch(server, 0.1)
    server.settimeout(10)
    assert server.recv(1) == b""
    assert time.monotonic() - start < 0.1 + 2 * client_limits.TICK_S
    assert watchdog.release(server) is False
    server.sendall(b"the answer")
    assert client.recv(100) == b"the answer"


def test_a_watchdog_leaves_alone_what_was_released(pair):
    server, client = pair
    watchdog = Watchdog()
    watchdog.watch(server, 0.1)
    assert watchdog.release(server) is True
    other, _ = both = socket.socketpair()
    with closing(both[0]), closing(both[1]):
        watchdog.watch(other, 0.1)
        other.settimeout(10)
        assert other.recv(1) == b""  # the watchdog has looked once more
    client.sendall(b"still open")
    assert server.recv(100) == b"still open"


def test_a_watchdog_can_close_both_sides(pair):
    server, client = pair
    Watchdog().watch(server, 0.1, socket.SHUT_RDWR)
    client.settimeout(10)
    assert client.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        server.sendall(b"the rest")


def test_a_watchdog_outlives_a_socket_that_is_closed_already():
    watchdog = Watchdog()
    closed, peer = socket.socketpair()
    watchdog.watch(closed, 0.0)
    closed.close()
    other, end = socket.socketpair()
    with closing(peer), closing(other), closing(end):
        watchdog.watch(other, 0.1)
        other.settimeout(10)
        assert other.recv(1) == b""


def test_a_watchdog_is_one_thread_that_starts_with_the_first_body(pair):
    server, _ = pair

    def count() -> int:
        return sum(thread.name == "watchdog" for thread in threading.enumerate())

    before = count()
    watchdog = Watchdog()
    assert count() == before
    for _ in range(10):
        watchdog.watch(server, 5)
        watchdog.release(server)
    assert count() == before + 1


# -- the middleware ------------------------------------------------------------------------------


def environ(sock: socket.socket | None, **more: object) -> dict[str, object]:
    given = {"wsgi.input": BytesIO(b"body"), **more}
    return given if sock is None else {**given, "gunicorn.socket": sock}


@pytest.mark.parametrize(
    ("has_socket", "headers", "timed"),
    [
        (True, {"CONTENT_LENGTH": "4"}, True),
        (True, {"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        (True, {"CONTENT_LENGTH": "0"}, False),
        (True, {"CONTENT_LENGTH": ""}, False),
        (True, {}, False),
        (False, {"CONTENT_LENGTH": "4"}, False),
    ],
)
def test_only_a_body_that_comes_from_a_socket_is_timed(pair, has_socket, headers, timed):
    app = ClientLimits(lambda environ, start: [type(environ["wsgi.input"])], 5, 1)
    seen = list(app(environ(pair[0] if has_socket else None, **headers), lambda *_: None))
    assert seen == [TimedBody if timed else BytesIO]


def through(limits: ClientLimits, given: dict[str, object]) -> dict[str, object]:
    """Return the WSGI environment that the app behind `limits` gets."""
    limits(given, lambda *_: None)
    return given


def nothing(_environ: dict[str, object], _start_response: object) -> list[bytes]:
    return []


def test_a_shortened_timeout_ends_a_silent_body_sooner(pair):
    server, _ = pair
    given = environ(server, CONTENT_LENGTH="4")
    given["wsgi.input"] = Body(LengthReader(SocketUnreader(server), 4))
    body = through(ClientLimits(nothing, 30, 1), given)["wsgi.input"]
    shorten_timeout(given, 0.2)
    shorten_timeout(given, 20)  # never longer again
    assert elapsed_until(ClientTooSlow, lambda: body.read(4)) < 0.9


def test_more_large_downloads_than_there_are_slots_are_busy(pair):
    server, _ = pair
    given = through(ClientLimits(nothing, 5, 2), environ(server))
    first, _second = limit_download(given, MIB), limit_download(given, MIB)
    with pytest.raises(Busy) as caught:
        limit_download(given, MIB)
    assert caught.value.retry_after == 5
    limit_download(given, BUFFERED_SIZE)()  # needs no slot
    first()
    limit_download(given, MIB)


def test_a_download_that_is_not_read_in_time_is_shut_down(pair):
    server, client = pair
    limit_download(through(ClientLimits(nothing, 0.1, 1), environ(server)), BUFFERED_SIZE + 1)
    assert server.gettimeout() == 0.1
    client.settimeout(10)
    assert client.recv(1) == b""


def test_a_server_that_gives_no_socket_is_served_without_limits():
    given = through(ClientLimits(nothing, 5, 1), environ(None, CONTENT_LENGTH="4"))
    shorten_timeout(given, 0.1)
    for _ in range(3):  # more than there are slots
        limit_download(given, MIB)
    assert given["wsgi.input"].read() == b"body"


# -- a real server that waits one second -------------------------------------------------------

THREADS = 2 + 1 + 8  # of a process with MAX_UPLOADS=2 and MAX_DOWNLOADS=1, see gunicorn.conf.py
LARGE = file_part(b"x" * MIB)[:-2]  # more than is announced in most tests


def threads(server: Server) -> dict[int, int]:
    return {pid: len(os.listdir(f"/proc/{pid}/task")) for pid in server.workers()}


@pytest.fixture(scope="module")
def warm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose every thread has started; a client may be silent for one second."""
    server = Server(
        tmp_path_factory.mktemp("warm"), CLIENT_TIMEOUT="1", MAX_UPLOADS="2", MAX_DOWNLOADS="1"
    ).start()
    wait_for(lambda: refused(server) and all_threads(server), 20, "all threads")
    wait_for(lambda: watched(server), 20, "a watchdog in every process")
    yield server
    server.stop()


def all_threads(server: Server) -> bool:
    return all(count > THREADS for count in threads(server).values())


def refused(server: Server) -> bool:
    """Begin more uploads without a token than there are threads: each waits for its body."""
    head = b"POST /api/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    with ExitStack() as stack:
        socks = [stack.enter_context(server.connect()) for _ in range(8 * THREADS)]
        for sock in socks:
            sock.sendall(head)
        return {answer_of(sock)[0] for sock in socks} == {401}


def watched(server: Server) -> bool:
    """Upload once more; return whether every process has its watchdog thread."""
    assert server.upload(b"content").status == 202
    return all(count == THREADS + 2 for count in threads(server).values())


@pytest.fixture
def timed_server(warm_server: Server) -> Iterator[Server]:
    """The warm server, compared with itself after each test: descriptors, threads, files."""
    before = threads(warm_server)
    with warm_server.same_descriptors():
        yield warm_server
    wait_for(lambda: threads(warm_server) == before, 5, "as many threads as before")
    warm_server.check_sound(allowed_5xx=(503,))


def no_part(server: Server) -> bool:
    return not any(name.endswith(".part") for name in server.uploads())


def one_part_of(server: Server, size: int) -> bool:
    """Return whether one upload is being received and has `size` bytes on the disk."""
    parts = [path for name, path in server.uploads().items() if name.endswith(".part")]
    return len(parts) == 1 and parts[0].stat().st_size >= size


def answer_of(sock: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, response.read()


def is_answered(sock: socket.socket, within_s: float = 0.0) -> bool:
    return bool(select.select([sock], [], [], within_s)[0])


def reset(sock: socket.socket) -> None:
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_client_that_hangs_up_in_mid_body_leaves_nothing_within_a_second(timed_server):
    before = len(timed_server.statuses())
    with closing(timed_server.begin_upload(MIB)) as sock:
        sock.sendall(LARGE[: 300 * KIB])
    wait_for(lambda: 400 in timed_server.statuses()[before:], 1, "a 400 in the log")
    wait_for(lambda: no_part(timed_server), 1, "no .part")


def test_a_client_that_hangs_up_behind_a_file_leaves_nothing_within_a_second(timed_server):
    """More than a read of 1 MiB has come, so files were made before the client went."""
    sock = timed_server.begin_upload(9 * MIB)
    sock.sendall(file_part(b"whole") + file_part(b"y" * 3 * MIB)[:-2])
    wait_for(lambda: not no_part(timed_server), 5, "a .part")
    sock.close()
    wait_for(lambda: no_part(timed_server), 1, "no .part")


def test_a_reset_in_mid_body_leaves_nothing_within_a_second(timed_server):
    before = len(timed_server.statuses())
    sock = timed_server.begin_upload(9 * MIB)
    sock.sendall(file_part(b"y" * 3 * MIB)[:-2])
    wait_for(lambda: one_part_of(timed_server, MIB), 5, "a .part")
    reset(sock)
    wait_for(lambda: no_part(timed_server), 1, "no .part")
    wait_for(lambda: 400 in timed_server.statuses()[before:], 1, "a 400 in the log")


def test_a_reset_right_behind_a_whole_body_leaves_a_job_or_nothing(timed_server):
    body = form(file_part(b"whole"))
    for _ in range(10):
        sock = timed_server.begin_upload(len(body))
        sock.sendall(body)
        reset(sock)
    wait_for(lambda: no_part(timed_server), 5, "no .part")


@pytest.mark.parametrize(
    "last",
    [
        b"400000\r\n" + b"y" * 1000,
        b"zz\r\n" + b"y" * 1000,
        b"-1\r\n",
        b"\r\n",
        b"3\r\nyyyyyyyyy\r\n",
        b"0\r\n",
        b"f" * 20_000,
        b"3;" + b"e" * 100_000,
    ],
)
@pytest.mark.parametrize("hangs_up", [True, False], ids=["and hangs up", "and waits"])
def test_a_chunked_body_that_is_cut_or_malformed_leaves_nothing(timed_server, last, hangs_up):
    first = file_part(b"y" * 3 * MIB)[:-2]
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {timed_server.token}\r\n"
        f"Content-Type: {FORM_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with timed_server.connect() as sock:
        sock.sendall(head.encode() + b"%x\r\n" % len(first) + first + b"\r\n")
        wait_for(lambda: not no_part(timed_server), 5, "a .part")
        sock.sendall(last)
        if hangs_up:
            sock.shutdown(socket.SHUT_WR)
            wait_for(lambda: no_part(timed_server), 1, "no .part")
        assert answer_of(sock)[0] in (400, 408)
    wait_for(lambda: no_part(timed_server), 1, "no .part")


def test_a_malformed_chunk_size_right_behind_the_head_is_no_500(timed_server):
    with timed_server.connect() as sock:
        sock.sendall(
            f"POST /api/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {timed_server.token}\r\n"
            f"Content-Type: {FORM_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n".encode()
        )
        assert answer_of(sock)[0] == 400


def test_one_byte_a_second_for_ever_ends_in_bounded_time(timed_server):
    """1 s of silence and 8 KiB a second: a body of 8 KiB has about two seconds."""
    body = form(file_part(b"z" * 8 * KIB))
    with closing(timed_server.begin_upload(len(body))) as sock:
        start = time.monotonic()
        sent = 0
        while not is_answered(sock, within_s=0.3):  # the pace of this client
            assert time.monotonic() - start < 6
            sent += sock.send(body[sent : sent + 1])
        assert answer_of(sock)[0] == 408


def test_silence_in_mid_body_on_every_thread_ends_and_others_are_served(timed_server):
    """Stalled uploads hold what they can; every one ends, and nobody else waits."""
    with ExitStack() as stack:
        stalled = [stack.enter_context(timed_server.begin_upload(MIB)) for _ in range(24)]
        for sock in stalled:
            sock.sendall(LARGE[: 10 * KIB])
        end = time.monotonic() + 8
        slowest = 0.0
        while time.monotonic() < end and not all(map(is_answered, stalled)):
            start = time.monotonic()
            assert timed_server.get("/api/health").status == 200
            slowest = max(slowest, time.monotonic() - start)
        assert all(map(is_answered, stalled))
        assert slowest < 1
        assert {answer_of(sock)[0] for sock in stalled} <= {408, 503}


def test_a_steady_slow_upload_passes(timed_server):
    """50 KB a second: longer than the timeout in all, never silent for so long."""
    content = b"s" * 125_000
    body = form(file_part(content))
    with closing(timed_server.begin_upload(len(body))) as sock:
        for at in range(0, len(body), 5_000):
            sock.sendall(body[at : at + 5_000])
            time.sleep(0.1)
        status, answer = answer_of(sock)
    assert status == 202
    assert timed_server.stored(json.loads(answer)["jobId"]) == [content]


def test_sign_ins_that_never_end_keep_nobody_waiting(own_server: Server) -> None:
    """Anybody may send one, so they get neither an upload's time nor every thread."""
    own_server.settings |= {"MAX_UPLOADS": "1", "MAX_DOWNLOADS": "1"}
    server = own_server.start()
    head = b"POST /api/auth HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(15 * server.worker_count):  # more than there are threads
            stack.enter_context(server.connect()).sendall(head + b'{"pass')
        for _ in range(3):
            start = time.monotonic()
            assert server.get("/api/health").status == 200
            assert time.monotonic() - start < 3
        wait_for(lambda: server.sign_in().status == 200, 15, "a place for a sign-in that ends")
    server.check_sound(allowed_5xx=(503,))
