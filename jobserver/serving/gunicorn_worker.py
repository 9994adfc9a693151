"""BoundedThreadWorker: gunicorn's gthread with a time limit on everything a client can delay.

What gthread (gunicorn 27) leaves without a limit, or does in the wrong thread:

- Request headers have no limit. Here a thread notes their deadline, and the loop of the main
  thread, which runs at least once a second, shuts down connections that missed it.
- Closing a connection that has unread bytes sends a reset, which can overtake the response.
  gthread therefore reads up to 2 s and 64 KiB more, in the loop that accepts everybody else.
  Here the loop reads from all closing connections at once, without blocking, for LINGER_S
  and of any size.
- A thread waits up to 5 s for the rest of a body that the app did not read. Here DRAIN_S.
- A response that its client does not read in time (SO_SNDTIMEO) is logged as an error of the
  app. Here it counts as a closed connection.

Bodies that the app does read are limited in client_limits.
"""

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gunicorn
from gunicorn.workers.gthread import ThreadWorker

GUNICORN_MAJOR = 27  # the one whose methods are overridden here
LINGER_S = 5.0
DRAIN_S = 0.1
DISCARD_SIZE = 256 * 1024


class BoundedThreadWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker; set `header_timeout_s` before the workers start."""

    header_timeout_s = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading_headers: dict[int, tuple[Any, float]] = {}  # thread: connection, deadline
        self._lingering: dict[Any, float] = {}  # connection: deadline

    def handle(self, conn: Any) -> Any:
        """Serve one request in a thread; its headers must be complete in time."""
        thread = threading.get_ident()
        self._reading_headers[thread] = (conn, time.monotonic() + self.header_timeout_s)
        try:
            return super().handle(conn)
        finally:
            self._end_header_timeout()

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request; its headers are complete. A client that does not read has left."""
        self._end_header_timeout()
        try:
            return super().handle_request(req, conn)
        except (BlockingIOError, TimeoutError) as error:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from error

    def handle_http2_request(self, *args: Any) -> Any:
        """Answer one stream of an HTTP/2 connection."""
        self._end_header_timeout()
        return super().handle_http2_request(*args)

    def _end_header_timeout(self) -> None:
        self._reading_headers.pop(threading.get_ident(), None)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        deadline = time.monotonic() + DRAIN_S
        return bool(keepalive and conn.parser.finish_body(deadline=deadline))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or read from it until its client closes it."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            discard: Callable[[socket.socket], None] = partial(self._discard, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, discard)
            self._lingering[conn] = time.monotonic() + LINGER_S
        except (OSError, ValueError):  # the client has closed it already
            self._close(conn)

    def murder_pending(self) -> None:
        """End the connections whose deadline has passed; the loop calls this at every turn."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [conn for conn, deadline in self._lingering.items() if deadline < now]:
            self._end_lingering(conn)
        for conn, deadline in list(self._reading_headers.values()):
            if deadline < now:
                with suppress(OSError):  # it may be closed by now
                    conn.sock.shutdown(socket.SHUT_RD)

    def _discard(self, conn: Any, sock: socket.socket) -> None:
        """Discard what a lingering client still sends; close when it stops."""
        with suppress(OSError):
            if sock.recv(DISCARD_SIZE):
                return
        self._end_lingering(conn)

    def _end_lingering(self, conn: Any) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def default_worker_class() -> type | str:
    """Return BoundedThreadWorker, or "gthread" under a gunicorn that it is not written for."""
    return BoundedThreadWorker if gunicorn.version_info[0] == GUNICORN_MAJOR else "gthread"


def missing_limits(worker_class: type) -> str | None:
    """Return one sentence on what a server with this worker class lacks, or None."""
    if issubclass(worker_class, BoundedThreadWorker):
        return None
    return (
        f"{worker_class.__name__} of gunicorn {gunicorn.__version__} serves instead of "
        f"BoundedThreadWorker (gunicorn {GUNICORN_MAJOR}): request headers have no time limit, "
        "and closing connections and unread bodies can hold up other clients"
    )
