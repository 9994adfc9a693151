"""A TCP relay to a server that ends connections in the middle of what they send or get."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CuttingRelay:
    """Forwards to 127.0.0.1. cuts: after how many bytes of its answer each connection ends,

    the first cut that of the first connection; those behind the last are left alone.
    of_requests: it is bytes of the request that are counted. when: how a request begins that is
    cut; others are left alone.
    """

    def __init__(
        self, server_port: int, *cuts: int, of_requests: bool = False, when: bytes = b""
    ) -> None:
        self.cuts, self.connections = list(cuts), 0
        self._server_port, self._of_requests, self._when = server_port, of_requests, when
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["CuttingRelay"]:
        threading.Thread(target=self._accept, daemon=True).start()
        with self._listener:
            yield self

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        begins = client.recv(len(self._when), socket.MSG_PEEK | socket.MSG_WAITALL)
        cut = self.cuts.pop(0) if self.cuts and begins == self._when else None
        of_request, of_answer = (cut, None) if self._of_requests else (None, cut)
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            request = threading.Thread(
                target=self._forward, args=(client, server, of_request), daemon=True
            )
            request.start()
            self._forward(server, client, of_answer)
            for sock in (server, client):
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            request.join()

    @staticmethod
    def _forward(source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece if left is None else piece[:left])
                if left is not None and (left := left - len(piece)) <= 0:
                    break
            if left is not None and left <= 0:  # both ends, as of a line that is dead
                source.shutdown(socket.SHUT_RDWR)
            target.shutdown(socket.SHUT_WR)
