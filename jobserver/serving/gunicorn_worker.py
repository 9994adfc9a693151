"""BoundedThreadWorker: gunicorn's gthread with a time limit on everything a client can delay.

What gthread (gunicorn 27) leaves without a limit, or does in the wrong thread:

- A thread waits for the first byte of a connection, for the rest of the request's head, and
  for a client that does not read its answer. Here the loop of the main thread waits, for all
  of them at once: a thread gets a request whose head is whole, and is free when the answer is
  made (answer_socket). A head has `header_timeout_s`, an answer as long as a download has.
- Closing a connection that has unread bytes sends a reset, which can overtake the response.
  gthread therefore reads up to 2 s and 64 KiB more, in the loop that accepts everybody else.
  Here the loop reads from all closing connections at once, without blocking, for 5 s
  and of any size.
- A thread waits up to 5 s for the rest of a body that the app did not read. Here DRAIN_S.
- A client may send any number of requests without waiting for an answer. Here MAX_PIPELINED.
- A response that its client does not read in time (SO_SNDTIMEO) is logged as an error of the
  app. Here it counts as a closed connection.

Bodies that the app does read, and large downloads, are limited in client_limits. A connection
that is encrypted by gunicorn itself goes gthread's way.
"""

import errno
import selectors
import time
from contextlib import suppress
from functools import partial
from typing import Any

import gunicorn
from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

from jobserver.serving.answer_socket import HEAD_SIZE, AnswerSocket
from jobserver.serving.client_limits import MIN_RATE
from jobserver.serving.waiting import WaitingConnections

GUNICORN_MAJOR = 27  # the one whose methods are overridden here
DRAIN_S = 0.1
MAX_PIPELINED = 100  # requests in a row; who waits for answers has one on its way
NOTHING_NEW = (errno.EAGAIN, errno.ECONNABORTED)  # of accept(2): another worker was faster


class HeadReadingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker whose loop reads the heads of requests; a thread gets whole ones."""

    header_timeout_s = 60.0

    def run(self) -> None:
        """Serve until SIGTERM."""
        self._waiting = WaitingConnections(self.poller, self._close)
        super().run()

    def accept(self, listener: Any) -> None:
        """Take a new connection; it waits for its first request as a kept one does."""
        if self.cfg.is_ssl:
            super().accept(listener)
            return
        accepted = _accept(listener)
        if accepted is None:
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, AnswerSocket(accepted[0]), accepted[1], listener.getsockname())
        conn.data_ready = True  # when a thread gets it
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Begin to read a request on a connection that was idle."""
        if isinstance(client, AnswerSocket):
            self.poller.unregister(client)
            self.keepalived_conns.remove(conn)
            self._begin(conn)
        else:
            super().on_client_socket_readable(conn, client)

    def _begin(self, conn: Any) -> None:
        """Give a request to a thread at once if its head is there, else when it is."""
        sock = conn.sock
        with suppress(OSError):  # it comes again in _read_on
            if not sock.has_head():
                sock.receive()
        if sock.has_head():
            self.enqueue_req(conn)
        else:
            self._waiting.wait(conn, selectors.EVENT_READ, self._read_on, self.header_timeout_s)

    def _read_on(self, conn: Any, sock: AnswerSocket) -> None:
        is_open = False
        with suppress(OSError):
            is_open = sock.receive()
        if sock.has_head():
            self._waiting.stop(conn)
            self.enqueue_req(conn)
        elif sock.received > HEAD_SIZE:
            self._waiting.stop(conn)
            with suppress(OSError):
                util.write_error(sock, 431, "Request Header Fields Too Large", "")
            self._waiting.linger(conn)
        elif not is_open:
            self._waiting.end(conn)

    def murder_pending(self) -> None:
        """End the connections whose deadline has passed; the loop calls this at every turn."""
        super().murder_pending()
        self._waiting.check()

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


class BoundedThreadWorker(HeadReadingWorker):
    """Its loop also sends what a client is slow to read of an answer.

    Set `header_timeout_s` and `silence_s` (seconds) before the workers start.
    """

    silence_s = 60.0

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request, in a thread. A client that does not read a large answer has left."""
        sock = conn.sock
        if not isinstance(sock, AnswerSocket):
            return super().handle_request(req, conn)
        sock.hold()
        req.must_close |= sock.pipelined >= MAX_PIPELINED
        try:
            return super().handle_request(req, conn)
        except (BlockingIOError, TimeoutError) as error:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from error
        finally:
            sock.flush()

    def handle_http2(self, conn: Any) -> Any:
        """Serve an HTTP/2 connection, which keeps its thread."""
        if isinstance(conn.sock, AnswerSocket):
            conn.sock.send_in_thread()
        return super().handle_http2(conn)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        deadline = time.monotonic() + DRAIN_S
        return bool(keepalive and conn.parser.finish_body(deadline=deadline))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Send what is left of the answer; then keep the connection, or let it linger."""
        sock = conn.sock
        if not isinstance(sock, AnswerSocket) or fs.cancelled() or fs.exception():
            super().finish_request(conn, fs)
        elif sock.unsent:
            seconds = self.silence_s + sock.unsent / MIN_RATE
            ready = partial(self._send_on, fs)
            self._waiting.wait(conn, selectors.EVENT_WRITE, ready, seconds)
        else:
            self._go_on(conn, fs)

    def _send_on(self, fs: Any, conn: Any, sock: AnswerSocket) -> None:
        try:
            is_sent = sock.flush()
        except OSError:
            self._waiting.end(conn)
            return
        if is_sent:
            self._waiting.stop(conn)
            self._go_on(conn, fs)

    def _go_on(self, conn: Any, fs: Any) -> None:
        """Turn to the next request on a connection, or let it linger."""
        if not fs.result():
            self._waiting.linger(conn)
            return
        sock = conn.sock
        sock.unread(conn.parser.unreader.take_buffered())
        sock.pipelined = sock.pipelined + 1 if sock.received else 0
        if sock.received:
            self._begin(conn)
        else:
            super().finish_request(conn, fs)


def _accept(listener: Any) -> tuple[Any, Any] | None:
    """Return a new connection's socket and address, or None when another worker was faster."""
    try:
        accepted: tuple[Any, Any] = listener.accept()
    except OSError as error:
        if error.errno not in NOTHING_NEW:
            raise
        return None
    return accepted


def default_worker_class() -> type | str:
    """Return BoundedThreadWorker, or "gthread" under a gunicorn that it is not written for."""
    return BoundedThreadWorker if gunicorn.version_info[0] == GUNICORN_MAJOR else "gthread"


def missing_limits(worker_class: type, is_ssl: bool = False) -> str | None:
    """Return one sentence on what a server with this worker class lacks, or None.

    is_ssl: gunicorn encrypts by itself, so its own sockets are used.
    """
    if issubclass(worker_class, BoundedThreadWorker) and not is_ssl:
        return None
    lacking = (
        "request headers have no time limit, a client that does not read its answers keeps a "
        "thread, and closing connections and unread bodies can hold up other clients"
    )
    if is_ssl:
        return f"gunicorn encrypts by itself, instead of a reverse proxy: {lacking}"
    return (
        f"{worker_class.__name__} of gunicorn {gunicorn.__version__} serves instead of "
        f"BoundedThreadWorker (gunicorn {GUNICORN_MAJOR}): {lacking}"
    )
