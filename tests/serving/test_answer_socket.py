"""A connection that no thread waits for, over a real pair of sockets."""

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.serving import waiting
from jobserver.serving.answer_socket import PIECE_SIZE, AnswerSocket
from jobserver.serving.waiting import WaitingConnections

MIB = 1024 * 1024


@pytest.fixture
def pair() -> Iterator[tuple[AnswerSocket, socket.socket]]:
    """The server's end of a connection and the client's."""
    accepted, client = socket.socketpair()
    server = AnswerSocket(accepted)
    with closing(server), closing(client):
        client.settimeout(10)
        yield server, client


def test_it_takes_the_descriptor_of_the_accepted_socket() -> None:
    accepted, client = socket.socketpair()
    descriptor = accepted.fileno()
    with closing(AnswerSocket(accepted)) as server, closing(client):
        assert server.fileno() == descriptor
        assert accepted.fileno() == -1
        assert server.family == client.family


def test_a_held_answer_is_sent_in_one_piece(pair) -> None:
    server, client = pair
    server.hold()
    server.sendall(b"head ")
    server.sendall(b"body")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    assert server.flush()
    assert client.recv(100) == b"head body"


def test_a_long_answer_is_begun_before_it_ends(pair) -> None:
    server, client = pair
    server.hold()
    server.sendall(b"x" * PIECE_SIZE)
    assert client.recv(1) == b"x"


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_what_the_client_does_not_take_is_kept_and_no_call_waits(pair, timeout) -> None:
    server, client = pair
    server.settimeout(timeout)
    server.hold()
    start = time.monotonic()
    for _ in range(4):
        server.sendall(b"y" * MIB)
    assert not server.flush()
    server.sendall(b"an error")
    assert time.monotonic() - start < 5
    assert 0 < server.unsent < 4 * MIB + 8
    received = b""
    while not server.flush():
        received += client.recv(MIB)
    server.shutdown(socket.SHUT_WR)
    while piece := client.recv(MIB):
        received += piece
    assert received == b"y" * 4 * MIB + b"an error"


def test_a_continue_is_sent_before_its_answer(pair) -> None:
    server, client = pair
    server.hold()
    server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_file_without_a_slot_is_collected_and_one_with_a_slot_is_sent(
    pair, tmp_path: Path
) -> None:
    server, client = pair
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb", buffering=0) as file:
        server.hold()
        server.sendall(b"head ")
        assert server.sendfile(file, 2, 5) == 5
        assert server.unsent == 10
        server.send_in_thread()
        server.sendall(b" ")
        assert server.sendfile(file, 8, 2) == 2
        assert server.unsent == 0
    assert client.recv(100) == b"head 23456 89"


def test_a_client_that_has_left_is_an_oserror(pair) -> None:
    server, client = pair
    client.close()
    server.hold()
    server.sendall(b"x")
    with pytest.raises(BrokenPipeError):
        server.flush()


def test_a_closed_connection_keeps_nothing(pair) -> None:
    server, _ = pair
    server.hold()
    server.sendall(b"x")
    server.close()
    assert server.unsent == 0
    assert server.flush()


@pytest.mark.parametrize(
    ("received", "decidable"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\n", True),
        (b"\r\nGET / HTTP/1.1\r\n", False),
    ],
)
def test_a_thread_gets_what_it_can_decide_about(pair, received: bytes, decidable: bool) -> None:
    server, client = pair
    client.sendall(received)
    assert server.receive()
    assert server.has_head() is decidable


def test_what_the_loop_has_read_comes_first(pair) -> None:
    server, client = pair
    client.sendall(b"cdef")
    assert server.receive()
    server.unread(b"ab")
    assert server.received == 6
    assert server.recv(5) == b"abcde"
    client.sendall(b"gh")
    assert server.recv(5) == b"f"
    assert server.recv(5) == b"gh"


def test_reading_what_is_not_there_does_not_wait_and_an_end_is_noticed(pair) -> None:
    server, client = pair
    assert server.receive() is True
    client.close()
    assert server.receive() is False


# -- waiting in the loop --------------------------------------------------------------------------


class Connection:
    def __init__(self, sock: AnswerSocket) -> None:
        self.sock = sock


def test_who_has_not_been_read_for_longest_goes_when_answers_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "MAX_UNSENT", 5 * MIB)
    ended: list[Connection] = []
    with selectors.DefaultSelector() as poller:
        room = WaitingConnections(poller, ended.append)
        conns, clients = [], []
        for _ in range(3):
            accepted, client = socket.socketpair()
            conns.append(Connection(AnswerSocket(accepted)))
            clients.append(client)
            conns[-1].sock.sendall(b"x" * 3 * MIB)
            room.wait(conns[-1], selectors.EVENT_WRITE, lambda *_: None, 60)
        room.check()
        assert ended == conns[:2]
        assert len(poller.get_map()) == 1
        for sock in (*clients, *(conn.sock for conn in conns)):
            sock.close()


def test_a_connection_that_is_closed_already_is_not_waited_for(pair) -> None:
    server, _ = pair
    conn = Connection(server)
    server.close()
    ended: list[Connection] = []
    with selectors.DefaultSelector() as poller:
        room = WaitingConnections(poller, ended.append)
        room.wait(conn, selectors.EVENT_READ, lambda *_: None, 60)
        room.check()
    assert ended == [conn]
