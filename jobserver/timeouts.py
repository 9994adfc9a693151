"""No client holds a thread longer than the bytes it sends deserve.

gunicorn's threads read a body from a blocking socket without any limit of time, and its
read(n) returns only once n bytes are there. So a silent client is ended by the socket's
timeout, one that trickles by a watchdog that closes the reading side, and one that goes on
sending after an early answer is listened to for a moment, so that it can read that answer
(a connection closed with unread bytes is reset, and the reset overtakes the answer).
"""

import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from gunicorn.http.errors import ParseException
from werkzeug.wsgi import ClosingIterator

from jobserver.errors import ClientGone, ClientTooSlow

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SLOWEST = 8 * 1024  # bytes a second below which a body is ended
LINGER_S = 5.0  # how long to listen after an early answer
DRAIN_SIZE = 256 * 1024
TICK_S = 1.0  # how exactly the watchdog keeps its limits


class ClientTimeouts:
    """WSGI middleware that limits how long reading a request body may take."""

    def __init__(self, app: "WSGIApplication", silence_s: float) -> None:
        self._app = app
        self._silence_s = silence_s
        self._watchdog = Watchdog()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        sock = environ.get("gunicorn.socket")
        if sock is None or not _has_body(environ):
            return self._app(environ, start_response)
        body = TimedBody(environ["wsgi.input"], sock, self._silence_s, self._watchdog)
        environ["wsgi.input"] = body
        return ClosingIterator(self._app(environ, start_response), body.drain)


def _has_body(environ: "WSGIEnvironment") -> bool:
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or (
        "HTTP_TRANSFER_ENCODING" in environ
    )


class TimedBody:
    """A request body whose read(size) raises ClientTooSlow or ClientGone instead of waiting."""

    def __init__(
        self, stream: IO[bytes], sock: socket.socket, silence_s: float, watchdog: "Watchdog"
    ) -> None:
        self._stream = stream
        self._sock = sock
        self._silence_s = silence_s
        self._watchdog = watchdog
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end of the body or when the client hung up."""
        self._sock.settimeout(self._silence_s)
        return self._read(size, self._silence_s + size / SLOWEST)

    def drain(self) -> None:
        """Throw away what still comes, for LINGER_S at most; called after the answer is sent."""
        end = time.monotonic() + LINGER_S
        with suppress(ClientTooSlow, ClientGone, OSError):
            while not self._ended and (left := end - time.monotonic()) > 0:
                self._sock.settimeout(left)
                self._read(DRAIN_SIZE, left)

    def _read(self, size: int, limit_s: float) -> bytes:
        self._ended = True  # an error ends the body, and so does a read that comes out short
        self._watchdog.watch(self._sock, limit_s)
        try:
            chunk = self._stream.read(size)
        except TimeoutError as error:
            raise ClientTooSlow from error
        except (OSError, ParseException) as error:
            raise ClientGone from error
        finally:
            in_time = self._watchdog.release(self._sock)
        if not in_time:
            raise ClientTooSlow
        self._ended = len(chunk) < size
        return chunk


class Watchdog:
    """One thread a process that ends reads which take too long; it starts with the first."""

    def __init__(self) -> None:
        self._deadlines: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, sock: socket.socket, limit_s: float) -> None:
        """Close the reading side of `sock` unless it is released within `limit_s` seconds."""
        with self._lock:
            self._deadlines[sock] = time.monotonic() + limit_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def release(self, sock: socket.socket) -> bool:
        """Stop watching `sock`; return whether it was in time."""
        with self._lock:
            return self._deadlines.pop(sock, None) is not None

    def _run(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                for sock in self._overdue():
                    del self._deadlines[sock]
                    with suppress(OSError):  # the client may have closed it already
                        sock.shutdown(socket.SHUT_RD)

    def _overdue(self) -> list[socket.socket]:
        now = time.monotonic()
        return [sock for sock, deadline in self._deadlines.items() if deadline < now]
