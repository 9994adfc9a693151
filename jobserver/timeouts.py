"""No client holds a thread longer than its bytes deserve, sending a body or taking a file.

gunicorn's threads read a body from a blocking socket without any limit of time, and its
read(n) returns only once n bytes are there. Writing is the same: every byte that a reader
takes begins the socket's timeout anew. So a silent client is ended by the socket's timeout,
and one that trickles by a watchdog that closes the connection under the thread's hands.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from gunicorn.http.errors import ParseException

from jobserver.errors import Busy, ClientGone, ClientTooSlow

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SLOWEST = 8 * 1024  # bytes a second below which a client is given up
SENT_AT_ONCE = 16 * 1024  # bytes that a socket takes without waiting for its reader (tcp(7))
LIMITS = "jobserver.limits"  # in the WSGI environment
TICK_S = 1.0  # how exactly the watchdog keeps its limits


class ClientLimits:
    """WSGI middleware that limits how long bodies may take to come, and files to go.

    Downloads have fewer slots than the server has threads, so other calls always find one.
    """

    def __init__(self, app: "WSGIApplication", silence_s: float, max_downloads: int) -> None:
        self._app = app
        self._silence_s = silence_s
        self._downloads = threading.BoundedSemaphore(max_downloads)
        self._watchdog = Watchdog()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ[LIMITS] = self
        sock = environ.get("gunicorn.socket")
        if sock is None or not _has_body(environ):
            return self._app(environ, start_response)
        environ["wsgi.input"] = TimedBody(
            environ["wsgi.input"], sock, _length(environ), self._silence_s, self._watchdog
        )
        return self._app(environ, start_response)

    def limit_sending(self, sock: socket.socket, size: int) -> Callable[[], object]:
        """Give a reader a slot, and time for `size` bytes; both end when the result is called."""
        if not self._downloads.acquire(blocking=False):
            raise Busy("Too many downloads at once; try again")
        sock.settimeout(self._silence_s)
        self._watchdog.watch(sock, self._silence_s + size / SLOWEST, socket.SHUT_RDWR)
        return partial(self._sent, sock)

    def _sent(self, sock: socket.socket) -> None:
        self._watchdog.release(sock)
        self._downloads.release()


def limit_sending(environ: "WSGIEnvironment", size: int) -> Callable[[], object]:
    """Limit how many answers of many bytes are on their way, and how long each may take.

    Call what is returned, once, when it is over. Raises Busy. What a socket holds at once is
    gone at once: it has no limit, which costs system calls.
    """
    sock = environ.get("gunicorn.socket")
    if sock is None or size <= SENT_AT_ONCE:
        return lambda: None
    limits: ClientLimits = environ[LIMITS]
    return limits.limit_sending(sock, size)


def hurry(environ: "WSGIEnvironment", silence_s: float) -> None:
    """Have less patience with this request's body than an upload deserves."""
    body = environ["wsgi.input"]
    if isinstance(body, TimedBody):
        body.hurry(silence_s)


def _has_body(environ: "WSGIEnvironment") -> bool:
    return _length(environ) != 0 or "HTTP_TRANSFER_ENCODING" in environ


def _length(environ: "WSGIEnvironment") -> int:
    """Return Content-Length, which gunicorn has checked; 0 without one."""
    return int(environ.get("CONTENT_LENGTH") or 0)


class TimedBody:
    """A request body whose read(size) raises ClientTooSlow or ClientGone instead of waiting."""

    def __init__(
        self,
        stream: IO[bytes],
        sock: socket.socket,
        length: int,
        silence_s: float,
        watchdog: "Watchdog",
    ) -> None:
        """length: bytes of the whole body; 0 when it is sent in chunks."""
        self._stream = stream
        self._sock = sock
        self._left = length or sys.maxsize
        self._silence_s = silence_s
        self._watchdog = watchdog

    def hurry(self, silence_s: float) -> None:
        """Have less patience from now on."""
        self._silence_s = min(silence_s, self._silence_s)

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end of the body or when the client hung up."""
        size = min(size, self._left)  # what will not come gives nobody more time
        self._sock.settimeout(self._silence_s)
        chunk = self._read(size, self._silence_s + size / SLOWEST)
        self._left -= len(chunk)
        return chunk

    def _read(self, size: int, limit_s: float) -> bytes:
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
        return chunk


class Watchdog:
    """One thread a process that ends what takes too long; it starts with the first."""

    def __init__(self) -> None:
        self._deadlines: dict[socket.socket, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, sock: socket.socket, limit_s: float, how: int = socket.SHUT_RD) -> None:
        """Shut `sock` down (`how`) unless it is released within `limit_s` seconds.

        By default its reading side alone, so that the client can still be told why.
        """
        with self._lock:
            self._deadlines[sock] = time.monotonic() + limit_s, how
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
                for sock, how in self._overdue():
                    del self._deadlines[sock]
                    with suppress(OSError):  # the client may have closed it already
                        sock.shutdown(how)

    def _overdue(self) -> list[tuple[socket.socket, int]]:
        now = time.monotonic()
        return [(sock, how) for sock, (end, how) in self._deadlines.items() if end < now]
