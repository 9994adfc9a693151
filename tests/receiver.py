"""A receiver of webhooks: a real HTTP server that keeps what it gets and answers as it is asked."""

import json
import queue
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Listens on 127.0.0.1, or another address; `answer` may be set to a status or a function."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.answer: int | Callable[[BaseHTTPRequestHandler, Received], None] = 204
        self.arrivals: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._released = threading.Event()
        self._server = _Server((address, port), self)
        self.port = self._server.server_address[1]
        self.url = f"http://{address}:{self.port}/hook"

    def encrypt(self, certificate: Path) -> None:
        """Speak TLS from now on. certificate: PEM, with its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def hang(self, *_: object) -> None:
        """As an answer: none, until the receiver is closed."""
        self._released.wait()

    def wait(self, within_s: float = 20) -> Received:
        """Return the next message; fail when there is none in time."""
        return self.arrivals.get(timeout=within_s)

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._released.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(address, _Handler)

    def get_request(self) -> Any:
        self.receiver.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not like the certificate, or is killed, is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = Received(self.path, dict(self.headers.items()), body)
        receiver = self.server.receiver
        receiver.received.append(found)
        receiver.arrivals.put(found)
        if callable(receiver.answer):
            receiver.answer(self, found)
            return
        self.send_response(receiver.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


def make_certificate(folder: Path, name: str) -> Path:
    """Return a certificate of its own authority for `name`, with its key, as PEM."""
    path = folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", path, "-out", f"{path}.crt"]
    subprocess.run(
        ["openssl", "req", "-x509", *key, *subject, *files, "-days", "2"],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path
