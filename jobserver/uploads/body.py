"""The body of a request, in the pieces in which it arrives."""

from collections.abc import Iterator
from typing import IO

from jobserver.errors import ClientGone

READ_SIZE = 1024 * 1024  # as much as gunicorn receives at once


def pieces(stream: IO[bytes], content_length: int | None) -> Iterator[bytes]:
    """Yield the body. Raises ClientGone when it ends before its Content-Length."""
    received, read = 0, getattr(stream, "read1", stream.read)  # as it comes, if that can be had
    while chunk := read(READ_SIZE):
        received += len(chunk)
        yield chunk
    if content_length is not None and received != content_length:
        raise ClientGone
