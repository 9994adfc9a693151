"""One POST to an address that was checked: no second look-up, no redirect, no proxy, bounded.

http.client, because a connection of it is made by one method that can be given an address:
Host, TLS name and certificate stay those of the name. urllib3 pins as well, but by a name of its
own for the pool, and brings a proxy, retries and redirects to be switched off.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import NamedTuple

from jobserver.webhooks.address import Allowed, Receiver, check_addresses, read_url

TIMEOUT_S = 10.0  # for all of it but the look-up
MAX_ANSWER = 64 * 1024  # bytes that are read, headers included
MAX_ADDRESSES = 4  # of one name, that are tried

Resolve = Callable[[str, int], list[str]]


class Failure(Exception):
    """No answer; its text is a sentence for who set up the webhook."""


class Message(NamedTuple):
    """What is posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once, the best first. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def post(
    message: Message,
    allowed: Allowed,
    *,
    timeout_s: float = TIMEOUT_S,
    look_up: Resolve = resolve,
) -> int:
    """Post a message, and return the status of the answer. Raises Failure."""
    try:
        receiver = read_url(message.url, allowed)  # WEBHOOK_ALLOW may have changed
        found = look_up(receiver.host, receiver.port)
        check_addresses(receiver, found, allowed)
    except OSError as error:
        raise Failure("its host name has no address") from error
    except ValueError as error:
        raise Failure(f"it is not allowed: {error}") from error
    deadline = time.monotonic() + timeout_s
    for address in found[:MAX_ADDRESSES]:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        try:
            return _post_to(address, receiver, message, left_s)
        except _NotConnected as error:
            reason = error.__cause__ or error
        except ssl.SSLCertVerificationError as error:
            raise Failure(f"its certificate is not valid: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Failure(_in_words(error, deadline)) from error
    raise Failure(_in_words(reason, deadline, "it cannot be connected to"))


def _in_words(error: BaseException, deadline: float, what: str = "it closed the connection") -> str:
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return f"it did not answer within {TIMEOUT_S:.0f} s"
    return what


def _post_to(address: str, receiver: Receiver, message: Message, timeout_s: float) -> int:
    connection = _PinnedConnection(receiver, address, timeout_s)
    watch = threading.Timer(timeout_s, connection.abort)  # a timeout of a socket is one of a byte
    watch.daemon = True
    watch.start()
    try:
        with closing(connection):
            connection.request("POST", receiver.target, message.body, dict(message.headers))
            answer = connection.getresponse()
            with suppress(OSError, http.client.HTTPException):  # it has said what it thinks
                answer.read(MAX_ANSWER)
            return answer.status
    finally:
        watch.cancel()


class _NotConnected(OSError):
    """Another address of the same name may answer."""


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer that ends after MAX_ANSWER bytes, whatever it says of its length."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        raw = sock.makefile("rb", buffering=0)
        self.fp = io.BufferedReader(_Bounded(raw, MAX_ANSWER))


class _Bounded(io.RawIOBase):
    """The first bytes of a stream."""

    def __init__(self, raw: socket.SocketIO, left: int) -> None:
        self._raw, self._left = raw, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        count = self._raw.readinto(view) or 0
        self._left -= count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to one address; Host and the name in TLS are the receiver's."""

    response_class = _BoundedAnswer

    def __init__(self, receiver: Receiver, address: str, timeout_s: float) -> None:
        super().__init__(receiver.host, receiver.port, timeout=timeout_s)
        self._address = address
        self._context = ssl.create_default_context() if receiver.scheme == "https" else None
        self._aborted = False
        if self._context is not None:
            self.default_port = http.client.HTTPS_PORT  # which Host leaves out

    def connect(self) -> None:
        """Connect, without a look-up. Raises _NotConnected or OSError."""
        try:
            self.sock = socket.create_connection((self._address, self.port), self.timeout)
        except OSError as error:
            raise _NotConnected from error
        if self._context is not None:
            self.sock = self._context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        if self._aborted:
            raise TimeoutError

    def abort(self) -> None:
        """End it from another thread: the one that waits for it gets an error."""
        self._aborted = True
        if self.sock is not None:
            with suppress(OSError):  # of the base class: SSLSocket's would drop its TLS
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
