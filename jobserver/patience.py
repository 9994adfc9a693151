"""PatientWorker: gunicorn's gthread whose threads, and whose loop, wait for no client for ever.

What gthread leaves unlimited, or does in the wrong place (gunicorn 27):

- Headers are read without a limit of time. Here a thread notes when it began, and the loop
  of the main thread, which turns at least once a second, ends what is overdue.
- A connection closed with unread bytes is reset, and the reset overtakes the answer. gthread
  listens to it for up to 2 s and 64 KiB, in the loop that accepts everybody else. Here the
  loop listens to all of them at once, without blocking, for LINGER_S and any size.
- A thread waits up to 5 s for the rest of a body that nobody wants. Here DRAIN_S.
- The socket's own send timeout arrives as a mistake of ours. Here it is a client that left.

Bodies that are wanted have limits of their own (timeouts.py).
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

from gunicorn.workers.gthread import ThreadWorker

LINGER_S = 5.0
DRAIN_S = 0.1
DISCARD_SIZE = 256 * 1024


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker; set `header_timeout_s` before the workers start."""

    header_timeout_s = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading_headers: dict[int, tuple[Any, float]] = {}  # thread: connection, deadline
        self._leaving: dict[Any, float] = {}  # connection: deadline

    def handle(self, conn: Any) -> Any:
        """Serve one request in a thread; its headers must be whole in time."""
        thread = threading.get_ident()
        self._reading_headers[thread] = (conn, time.monotonic() + self.header_timeout_s)
        try:
            return super().handle(conn)
        finally:
            self.headers_are_whole()

    def headers_are_whole(self) -> None:
        """Stop the clock of this thread's headers; gunicorn's pre_request hook calls it."""
        self._reading_headers.pop(threading.get_ident(), None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request; a client that does not read its answer has left."""
        try:
            return super().handle_request(req, conn)
        except (BlockingIOError, TimeoutError) as error:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from error

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        deadline = time.monotonic() + DRAIN_S
        return bool(keepalive and conn.parser.finish_body(deadline=deadline))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or listen to it until the client has read its answer."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            discard: Callable[[socket.socket], None] = partial(self._discard, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, discard)
            self._leaving[conn] = time.monotonic() + LINGER_S
        except (OSError, ValueError):  # the client has gone already
            self._close(conn)

    def murder_pending(self) -> None:
        """End what is overdue; the loop calls this at every turn."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [conn for conn, deadline in self._leaving.items() if deadline < now]:
            self._leave(conn)
        for conn, deadline in list(self._reading_headers.values()):
            if deadline < now:
                with suppress(OSError):  # it may be closed by now
                    conn.sock.shutdown(socket.SHUT_RD)

    def _discard(self, conn: Any, sock: socket.socket) -> None:
        """Throw away what a leaving client still sends; close when it stops."""
        with suppress(OSError):
            if sock.recv(DISCARD_SIZE):
                return
        self._leave(conn)

    def _leave(self, conn: Any) -> None:
        del self._leaving[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
