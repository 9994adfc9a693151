"""Bounds how long one client can occupy a thread, by transfer rate: bodies and downloads.

gunicorn's threads read a body from a blocking socket without a time limit, and its read(n)
returns only once n bytes are there. Writing is the same: every byte that a client takes
restarts the socket's timeout. So a silent client is ended by the socket's timeout, and one
that trickles by a watchdog that shuts the connection down while the thread waits.
No thread waits for the reader of a small answer (answer_socket).

A server that does not give its socket (`gunicorn.socket`) is served without these limits.
"""

import inspect
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import Unreader

from jobserver import metrics
from jobserver.errors import Busy, ClientGone, ClientTooSlow
from jobserver.serving.answer_socket import AnswerSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MIN_RATE = 8 * 1024  # bytes a second; a slower client is cut off
RATE_WINDOW = 1024 * 1024  # bytes over which MIN_RATE is held, where they are read in pieces
PIECE_SIZE = 64 * 1024  # bytes that are worth the work on a piece
BUFFERED_SIZE = 16 * 1024  # bytes that a socket takes without waiting for its client (tcp(7))
LIMITS = "jobserver.client_limits"  # in the WSGI environment
TICK_S = 1.0  # how exactly the watchdog keeps its deadlines
HAS_READ_AHEAD = "read_ahead" in inspect.signature(Unreader.read).parameters  # gunicorn 27


class ClientLimits:
    """WSGI middleware that limits how long bodies and downloads may take.

    There are fewer download slots than threads, so other requests always find one.
    """

    def __init__(self, app: "WSGIApplication", silence_s: float, max_downloads: int) -> None:
        """silence_s: seconds without a byte. max_downloads: at once, in this process."""
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
            environ["wsgi.input"],
            sock,
            length=_length(environ),
            silence_s=self._silence_s,
            watchdog=self._watchdog,
        )
        return self._app(environ, start_response)

    def limit_download(self, sock: socket.socket, size: int) -> Callable[[], object]:
        """Take a download slot and start the clock of `size` bytes.

        Returns a function that frees the slot; call it once. Raises Busy.
        """
        if not self._downloads.acquire(blocking=False):
            raise Busy("Too many downloads at once; try again")
        if isinstance(sock, AnswerSocket):
            sock.send_in_thread()
        sock.settimeout(self._silence_s)
        self._watchdog.watch(sock, self._silence_s + size / MIN_RATE, socket.SHUT_RDWR)
        counted = ExitStack()
        counted.enter_context(metrics.transfer("download"))
        return partial(self._end_download, sock, counted)

    def _end_download(self, sock: socket.socket, counted: ExitStack) -> None:
        self._watchdog.release(sock)
        self._downloads.release()
        counted.close()


def longest_body_s(size: int, silence_s: float) -> float:
    """Return the seconds that the slowest client which is not cut off takes for a body."""
    return (size // RATE_WINDOW + 1) * (silence_s + RATE_WINDOW / MIN_RATE)


def limit_download(environ: "WSGIEnvironment", size: int) -> Callable[[], object]:
    """Limit how many large responses are sent at once, and how long one of `size` bytes takes.

    Returns a function to call once when the response is over. Raises Busy. A response that
    fits the socket's buffer has no limit, which would cost system calls.
    """
    sock = environ.get("gunicorn.socket")
    if sock is None or size <= BUFFERED_SIZE:
        return lambda: None
    limits: ClientLimits = environ[LIMITS]
    return limits.limit_download(sock, size)


def shorten_timeout(environ: "WSGIEnvironment", silence_s: float) -> None:
    """Give the body of this request less time than an upload has."""
    body = environ["wsgi.input"]
    if isinstance(body, TimedBody):
        body.shorten_timeout(silence_s)


def _has_body(environ: "WSGIEnvironment") -> bool:
    return _length(environ) != 0 or "HTTP_TRANSFER_ENCODING" in environ


def _length(environ: "WSGIEnvironment") -> int:
    """Return Content-Length, which gunicorn has checked; 0 without one."""
    return int(environ.get("CONTENT_LENGTH") or 0)


class TimedBody:
    """A request body that raises ClientTooSlow or ClientGone instead of waiting.

    received: bytes of it so far.
    """

    def __init__(
        self,
        stream: IO[bytes],
        sock: socket.socket,
        *,
        length: int,
        silence_s: float,
        watchdog: "Watchdog",
    ) -> None:
        """length: bytes of the whole body; 0 when it is sent in chunks."""
        self._stream = stream
        self._sock = sock
        self._left = length or sys.maxsize
        self.received = 0
        self._silence_s = silence_s
        self._watchdog = watchdog
        self._window_left, self._waited_s = 0, 0.0

    def shorten_timeout(self, silence_s: float) -> None:
        """Allow at most `silence_s` seconds without a byte from now on."""
        self._silence_s = min(silence_s, self._silence_s)

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end of the body or when the client hung up."""
        size = min(size, self._left)  # bytes that will not come give nobody more time
        return self._read(self._stream.read, size, self._silence_s + size / MIN_RATE)

    def read1(self, size: int) -> bytes:
        """Return some bytes, `size` at most, b"" at the end; see io.BufferedIOBase.read1.

        gunicorn collects what read() asks for in a buffer and copies it three times.
        """
        size = min(size, self._left)
        if not _gives_pieces(self._stream):
            return self.read(size)
        if self._window_left <= 0:
            self._window_left, self._waited_s = min(RATE_WINDOW, self._left), 0.0
        limit_s = self._silence_s + self._window_left / MIN_RATE - self._waited_s
        start = time.monotonic()
        piece = self._read(partial(_next_piece, self._stream), size, limit_s)
        self._waited_s += time.monotonic() - start
        self._window_left -= len(piece)
        return piece

    def _read(self, read: Callable[[int], bytes], size: int, limit_s: float) -> bytes:
        self._sock.settimeout(self._silence_s)
        self._watchdog.watch(self._sock, limit_s)
        try:
            chunk = read(size)
        except TimeoutError as error:
            raise ClientTooSlow from error
        except (OSError, ParseException) as error:
            raise ClientGone from error
        finally:
            in_time = self._watchdog.release(self._sock)
        if not in_time:
            raise ClientTooSlow
        self._left -= len(chunk)
        self.received += len(chunk)
        return chunk


def _gives_pieces(stream: Any) -> bool:
    """Return whether _next_piece() may read gunicorn's body: its length is known."""
    reader = getattr(stream, "reader", None)
    return HAS_READ_AHEAD and isinstance(reader, LengthReader) and not stream.buf.tell()


def _next_piece(stream: Any, size: int) -> bytes:
    """Receive PIECE_SIZE or, what comes at once, up to `size`; count it as LengthReader does."""
    reader, pieces, received = stream.reader, [], 0
    try:
        while received < min(size, PIECE_SIZE):
            piece: bytes = reader.unreader.read(None, read_ahead=size - received)
            if not piece:
                break
            pieces.append(piece)
            received += len(piece)
    except Exception:
        stream.failed = True  # where the next request starts is unknown
        raise
    together = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if received > size:  # the next request's, which came with this one
        reader.unreader.unread(together[size:])
        together = together[:size]
    reader.length -= len(together)
    return together


class Watchdog:
    """One thread a process that ends what takes too long; it starts with the first socket."""

    def __init__(self) -> None:
        self._deadlines: dict[socket.socket, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, sock: socket.socket, limit_s: float, how: int = socket.SHUT_RD) -> None:
        """Shut `sock` down (`how`) unless it is released within `limit_s` seconds.

        By default its reading side alone, so that the client can still read the response.
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
