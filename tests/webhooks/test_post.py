"""A POST to a real listener: pinned to the address that was checked, bounded, no redirects."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from jobserver.webhooks.address import Allowed, read_allowed
from jobserver.webhooks.post import MAX_ANSWER, Failure, Message, post
from tests.receiver import Receiver, make_certificate
from tests.support import free_port

HERE = read_allowed(["127.0.0.0/8"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


def message(url: str) -> Message:
    return Message(url, {"webhook-id": "msg_1"}, b'{"a": 1}')


class Raw(NamedTuple):
    """A listener that answers one connection with bytes. sent: the pieces that were taken."""

    url: str
    sent: list[bytes]


@contextmanager
def raw_receiver(*pieces: bytes, every_s: float = 0.0) -> Iterator[Raw]:
    over, sent = threading.Event(), list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as sock:
                sock.recv(65536)
                for piece in pieces:
                    try:
                        sock.sendall(piece)
                    except OSError:
                        return
                    sent.append(piece)
                    over.wait(every_s)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Raw(f"http://127.0.0.1:{listener.getsockname()[1]}/", sent)
        over.set()
        thread.join()


def test_a_message_arrives_as_it_was_signed(receiver: Receiver) -> None:
    assert post(message(f"{receiver.url}?a=b"), HERE) == 204
    (got,) = receiver.received
    assert (got.path, got.body) == ("/hook?a=b", b'{"a": 1}')
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    def redirect(handler, got) -> None:
        handler.send_response(status)
        handler.send_header("Location", receiver.url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    receiver.answer = redirect
    assert post(message(receiver.url), HERE) == status
    assert receiver.connections == 1


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(message(receiver.url), HERE) == 204


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(receiver: Receiver) -> None:
    """Whatever the name has become since: DNS rebinding."""
    asked = []

    def look_up(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    allowed = read_allowed(["hooks.invalid"])  # no resolver knows it
    url = f"http://hooks.invalid:{receiver.port}/"
    assert post(message(url), allowed, look_up=look_up) == 204
    assert asked == [("hooks.invalid", receiver.port)]
    assert receiver.received[0].headers["Host"] == f"hooks.invalid:{receiver.port}"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"]]
)
def test_a_public_name_with_an_address_that_is_not_is_never_connected_to(
    receiver: Receiver, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobserver.webhooks.address.PUBLIC_PORTS", (receiver.port,))
    url = f"https://hooks.example:{receiver.port}/"
    with pytest.raises(Failure, match=r"not allowed: the address of hooks\.example is not public"):
        post(message(url), Allowed(), look_up=lambda *_: addresses)
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "127.1"])
def test_a_real_listener_at_home_is_never_connected_to(receiver: Receiver, host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(Failure, match="not allowed"):
            post(message(f"{scheme}://{host}:{receiver.port}/"), Allowed())
    assert receiver.connections == 0


def test_the_next_address_is_tried_where_one_cannot_be_connected_to(receiver: Receiver) -> None:
    allowed = read_allowed(["hooks.invalid"])
    url = f"http://hooks.invalid:{receiver.port}/"
    assert post(message(url), allowed, look_up=lambda *_: ["127.0.0.9", "127.0.0.1"]) == 204


def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(Failure, match="cannot be connected to"):
        post(message(f"http://127.0.0.1:{free_port()}/"), HERE)
    with pytest.raises(Failure, match="host name has no address"):
        post(message("https://hooks.invalid/"), Allowed())


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"], 200),  # closes early
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"a" * MAX_ANSWER * 4], 200),
        ([b"HTTP/1.1 200 OK\r\nA: " + b"a" * 60_000 + b"\r\nB: " + b"b" * 60_000], 200),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 410 Gone\r\n\r\n"], 410),
        ([b"HTTP/1.0 500 No\r\n\r\n"], 500),
    ],
)
def test_an_answer_is_its_status_whatever_follows(pieces: list[bytes], status: int) -> None:
    with raw_receiver(*pieces) as raw:
        assert post(message(raw.url), HERE) == status


def test_no_more_is_read_of_an_answer_than_it_may_have() -> None:
    line = b"A: " + b"a" * 60_000 + b"\r\n"
    with raw_receiver(b"HTTP/1.1 200 OK\r\n", *[line] * 90, b"\r\n") as raw:
        assert post(message(raw.url), HERE) == 200
        assert len(raw.sent) < 90


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 ", b"SSH-2.0-OpenSSH\r\n", b"\0" * 1000])
def test_what_is_no_answer_is_a_failure(piece: bytes) -> None:
    with raw_receiver(piece) as raw, pytest.raises(Failure, match="closed the connection"):
        post(message(raw.url), HERE)


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_all_of_it_has_one_deadline(piece: bytes) -> None:
    """A byte now and then is no reason to wait longer."""
    with raw_receiver(*[piece] * 60, every_s=0.05) as raw:
        with pytest.raises(Failure, match="within 10 s"):
            post(message(raw.url), HERE, timeout_s=0.2)
        assert len(raw.sent) < 60  # of 3 s


# -- TLS ------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that has a certificate for hooks.example, of an authority that is trusted."""
    certificate = make_certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    receiver = Receiver()
    receiver.encrypt(certificate)
    with receiver.running():
        yield receiver


def test_tls_is_of_the_name_though_an_address_is_connected_to(secure: Receiver) -> None:
    allowed = read_allowed(["hooks.example"])
    url = f"https://hooks.example:{secure.port}/hook"
    assert post(message(url), allowed, look_up=lambda *_: ["127.0.0.1"]) == 204
    assert secure.received[0].headers["Host"] == f"hooks.example:{secure.port}"


def test_a_certificate_of_another_name_or_authority_is_refused(
    secure: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = read_allowed(["hooks.example", "other.example"])
    other = f"https://other.example:{secure.port}/hook"
    with pytest.raises(Failure, match="its certificate is not valid: Hostname mismatch"):
        post(message(other), allowed, look_up=lambda *_: ["127.0.0.1"])
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Failure, match="its certificate is not valid: self-signed"):
        post(
            message(f"https://hooks.example:{secure.port}/"),
            allowed,
            look_up=lambda *_: ["127.0.0.1"],
        )
    assert secure.received == []


def test_a_receiver_that_hangs_in_the_middle_of_tls_has_the_same_deadline() -> None:
    allowed = read_allowed(["127.0.0.1"])
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Failure, match="within 10 s"):
            post(message(url), allowed, timeout_s=0.2)


def test_what_speaks_no_tls_is_a_failure(receiver: Receiver) -> None:
    with pytest.raises(Failure, match="closed the connection"):
        post(message(f"https://127.0.0.1:{receiver.port}/"), HERE)
