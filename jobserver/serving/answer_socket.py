"""AnswerSocket: a connection for whose reader, and for whose next request, no thread waits.

A thread collects an answer here and sends what the kernel takes at once; the loop of the
worker sends the rest when the client reads (`flush`). Before, the loop reads the head of the
next request without a thread (`receive`), and the thread finds it in `recv`.

Large responses are different: they have a slot and a watchdog (client_limits), come in pieces
and are sent by their thread (`send_in_thread`).
"""

import socket
from typing import IO

PIECE_SIZE = 64 * 1024  # bytes that are collected before the first are sent
RECEIVE_SIZE = 16 * 1024  # bytes
HEAD_SIZE = 128 * 1024  # bytes; nginx passes on a head of 64 KiB and adds some lines
END_OF_HEAD = b"\r\n\r\n"


class AnswerSocket(socket.socket):
    """An accepted connection; `hold()` begins an answer, `flush()` ends it."""

    def __init__(self, accepted: socket.socket) -> None:
        """Take the descriptor of `accepted`, which is of no use any more."""
        family, kind, proto = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, proto, fileno=accepted.detach())
        self._received = b""
        self._unsent = bytearray()
        self._holds = False
        self._in_thread = False
        self.file_bytes = 0  # of the answer, sent from a file: gunicorn does not count them
        self.pipelined = 0  # requests in a row that were there before their turn

    # -- the next request ---------------------------------------------------------------------

    def receive(self) -> bool:
        """Read once without blocking; return False at the end of what comes. Raises OSError."""
        try:
            piece = super().recv(RECEIVE_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        self._received += piece
        return bool(piece)

    def unread(self, rest: bytes) -> None:
        """Put back what was read beyond the end of a request."""
        self._received = rest + self._received

    @property
    def received(self) -> int:
        """Bytes that no thread has read yet."""
        return len(self._received)

    def has_head(self) -> bool:
        """Return whether a thread can decide about a request without waiting for more.

        Either the head is whole, or it has a line that does not end as it must (RFC 9112, 2.2).
        """
        head = self._received
        return END_OF_HEAD in head or head.count(b"\n") != head.count(b"\r\n")

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what was received already, else read as every socket does."""
        if not self._received:
            return super().recv(size, flags)
        piece, self._received = self._received[:size], self._received[size:]
        return piece

    # -- the answer -----------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes of the answer that the kernel has not taken."""
        return len(self._unsent)

    def hold(self) -> None:
        """Begin an answer: collect it, to send it in one piece if it is small."""
        self._holds, self._in_thread = True, False
        self.file_bytes = 0

    def send_in_thread(self) -> None:
        """Let the thread wait for the reader until the answer ends: somebody else limits that."""
        self._holds, self._in_thread = False, True

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Send what the kernel takes and keep the rest. Raises OSError."""
        self._unsent += data
        if self._in_thread:
            super().sendall(self._unsent)
            self._unsent.clear()
        elif not self._holds or len(self._unsent) >= PIECE_SIZE:
            self._send_some()

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]
        """Send at once: gunicorn's `100 Continue`, which may not wait for the answer."""
        self.sendall(data)
        self._send_some()
        return len(data)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:  # type: ignore[override]
        """Collect a file that has no slot, for it is small; send any other as sockets do."""
        if self._in_thread:
            try:
                return super().sendfile(file, offset, count)
            finally:  # it leaves the file behind what it has sent
                self.file_bytes += max(0, file.tell() - offset)
        file.seek(offset)
        content = file.read() if count is None else file.read(count)
        self.sendall(content)
        self.file_bytes += len(content)
        return len(content)

    def flush(self) -> bool:
        """Send what the kernel takes; return whether that was all. Raises OSError."""
        self._holds = self._in_thread = False
        self._send_some()
        return not self._unsent

    def close(self) -> None:
        """Close the connection; what was not sent never will be."""
        self._unsent.clear()
        super().close()

    def _send_some(self) -> None:
        if not self._unsent:
            return
        if self.gettimeout():  # a socket with a timeout waits for its reader, whatever the flags
            self.settimeout(None)
        try:
            sent = super().send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        del self._unsent[:sent]
