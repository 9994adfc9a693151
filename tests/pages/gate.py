"""A TCP relay before a server that can hold a connection in mid-upload, and cut it."""

import socket
import struct
import threading
from contextlib import closing, suppress

PIECE = 64 * 1024


class Gate:
    """Relays to 127.0.0.1:`upstream`; `hold_after` bytes of one connection it waits."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._open = threading.Event()
        self._open.set()
        self.port: int = self._listener.getsockname()[1]
        self.hold_after = 0

    def __enter__(self) -> "Gate":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def hold(self, after: int) -> None:
        """From now on let `after` bytes of each connection's requests pass, no more."""
        self.hold_after = after
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """Reset every connection there is, as the end of a process with unread bytes does."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        self.release()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError), self._connected() as server:
            self._sockets += [client, server]
            back = threading.Thread(target=self._relay, args=[server, client], daemon=True)
            back.start()
            self._relay(client, server, held=True)
            back.join()

    def _connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._upstream))

    def _relay(self, source: socket.socket, target: socket.socket, held: bool = False) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(PIECE):
                passed += len(piece)
                if held and passed > self.hold_after:
                    self._open.wait()
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
