"""Connections that the loop of a worker waits for, each until a deadline."""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

MAX_UNSENT = 64 * 1024 * 1024  # bytes of answers that wait for their readers, in one process
CHECK_S = 0.25  # how exactly deadlines are kept
LINGER_S = 5.0
DISCARD_SIZE = 256 * 1024


class WaitingConnections:
    """Connections in the poller of a worker; those that keep it waiting are closed."""

    def __init__(self, poller: selectors.BaseSelector, close: Callable[[Any], None]) -> None:
        self._poller = poller
        self._close = close
        self._deadlines: dict[Any, float] = {}  # those that wait longest come first
        self._next_check = 0.0

    def wait(self, conn: Any, event: int, ready: Callable[..., None], seconds: float) -> None:
        """Call `ready(conn, sock)` at each such event; close the connection after `seconds`."""
        try:
            conn.sock.setblocking(False)
            self._poller.register(conn.sock, event, partial(ready, conn))
            self._deadlines[conn] = time.monotonic() + seconds
        except (OSError, ValueError):  # it was closed meanwhile
            self._close(conn)

    def stop(self, conn: Any) -> None:
        """Wait for this connection no longer."""
        del self._deadlines[conn]
        self._poller.unregister(conn.sock)

    def end(self, conn: Any) -> None:
        """Wait no longer, and close it."""
        self.stop(conn)
        self._close(conn)

    def linger(self, conn: Any) -> None:
        """Read from a connection until its client closes it, LINGER_S at most."""
        with suppress(OSError):  # the client has closed it already
            conn.sock.shutdown(socket.SHUT_WR)
        self.wait(conn, selectors.EVENT_READ, self._discard, LINGER_S)

    def _discard(self, conn: Any, sock: socket.socket) -> None:
        """Discard what a lingering client still sends; close when it stops."""
        with suppress(OSError):
            if sock.recv(DISCARD_SIZE):
                return
        self.end(conn)

    def check(self) -> None:
        """Close what is overdue; call it often, it looks now and then."""
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_S
        for conn in [conn for conn, deadline in self._deadlines.items() if deadline < now]:
            self.end(conn)
        self._bound_unsent()

    def _bound_unsent(self) -> None:
        """Close those that have not been read for longest while answers fill the memory."""
        conns = [conn for conn in self._deadlines if conn.sock.unsent]
        unsent = sum(conn.sock.unsent for conn in conns)
        for conn in conns:
            if unsent <= MAX_UNSENT:
                return
            unsent -= conn.sock.unsent
            self.end(conn)
