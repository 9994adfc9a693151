"""Clients that ask and ask again and do not read the answers, or only a few bytes of them."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tests.support import Server

SMALLEST = 4 * 1024  # bytes that such a client's kernel takes before it is read
SEGMENT_SIZE = 1460  # of Ethernet; the server's buffer grows with it, on loopback to megabytes
TURN_S = 0.1


class _Clients:
    """Connections that repeat a request as often as the server takes it, in one thread."""

    def __init__(self, port: int, request: bytes, count: int, trickle: int) -> None:
        self._port, self._request, self._trickle = port, request * 20, trickle
        self._sent: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            self._connect()

    def _connect(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_SIZE)
        sock.connect(("127.0.0.1", self._port))
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_WRITE)
        self._sent[sock] = 0

    def run(self, ended: threading.Event) -> None:
        """Ask until the event is set; a connection that the server closes is made anew."""
        while not ended.wait(TURN_S / 10):
            for key, _ in self._selector.select(TURN_S):
                self._do(key.fileobj, self._ask)
            if self._trickle:
                for sock in list(self._sent):
                    self._do(sock, self._read)
        for sock in self._sent:
            sock.close()

    def _do(self, sock: socket.socket, step) -> None:
        try:
            with suppress(BlockingIOError):
                step(sock)
        except ConnectionError:
            self._selector.unregister(sock)
            del self._sent[sock]
            sock.close()
            self._connect()

    def _ask(self, sock: socket.socket) -> None:
        """Send on where the last piece ended, so that requests stay whole."""
        sent = sock.send(self._request[self._sent[sock] :])
        self._sent[sock] = (self._sent[sock] + sent) % len(self._request)

    def _read(self, sock: socket.socket) -> None:
        if not sock.recv(self._trickle):
            raise ConnectionResetError


@contextmanager
def unread(port: int, request: bytes, *, clients: int, trickle: int = 0) -> Iterator[None]:
    """Repeat `request` on so many connections; read `trickle` bytes of each now and then."""
    ended = threading.Event()
    attackers = _Clients(port, request, clients, trickle)
    thread = threading.Thread(target=attackers.run, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def slowest_health(server: Server, seconds: float) -> float:
    """Ask for health on new connections for so long; return the seconds of the slowest answer."""
    slowest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        with closing(server.connect(timeout=30)) as sock:
            sock.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.05)
    return slowest
