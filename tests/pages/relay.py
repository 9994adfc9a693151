"""A TCP relay between browser and server that can pause an upload or reset its connections."""

import socket
import struct
import threading
from contextlib import closing, suppress

CHUNK_SIZE = 64 * 1024


class Relay:
    """Forwards connections to 127.0.0.1:`server_port`, from a port of its own."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._running = threading.Event()
        self._running.set()
        self._pause_after = 0
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.reset_connections()

    def pause(self, after: int) -> None:
        """From now on forward only the first `after` bytes that a connection sends."""
        self._pause_after = after
        self._running.clear()

    def resume(self) -> None:
        self._running.set()

    def reset_connections(self) -> None:
        """Reset every open connection, as happens when a process with unread bytes ends."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        self.resume()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError), self._connect_to_server() as server:
            self._sockets += [client, server]
            responses = threading.Thread(target=self._forward, args=[server, client], daemon=True)
            responses.start()
            self._forward(client, server, can_pause=True)
            responses.join()

    def _connect_to_server(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._server_port))

    def _forward(
        self, source: socket.socket, target: socket.socket, can_pause: bool = False
    ) -> None:
        received = 0
        with suppress(OSError):
            while chunk := source.recv(CHUNK_SIZE):
                received += len(chunk)
                if can_pause and received > self._pause_after:
                    self._running.wait()
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
