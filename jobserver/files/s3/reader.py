"""An object as a file that can be read at any place: one ranged GET for what is read in a row."""

import io
import os
from collections.abc import Callable

from jobserver.errors import StoreUnreachable
from jobserver.files.s3.client import Body

ATTEMPTS = 4  # to go on after a connection broke, without a byte in between


class ObjectReader(io.RawIOBase):
    """Reads an object of a known size; the connection is made by the first read.

    Reading raises StoreUnreachable, or FileNotFoundError when it was deleted meanwhile.
    """

    def __init__(self, open_at: Callable[[int], Body], size: int) -> None:
        """open_at: returns the bytes from a place on."""
        self._open_at, self._size = open_at, size
        self._place = 0
        self._body: Body | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; costs nothing until the next read."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        place = max(0, start + offset)
        if place != self._place:
            self._drop()
        self._place = place
        return place

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, fewer at the end only."""
        left = max(0, self._size - self._place)
        wanted = left if size is None or size < 0 else min(size, left)
        pieces = []
        while wanted:
            piece = self._read_on(wanted)
            wanted -= len(piece)
            self._place += len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """End the answer that is being read."""
        self._drop()
        super().close()

    def _read_on(self, wanted: int) -> bytes:
        """Return at least one byte; after a break the answer goes on in another."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._body is None:
                    self._body = self._open_at(self._place)
                if piece := self._body.read(wanted):
                    return piece
            except StoreUnreachable:
                if attempt == ATTEMPTS:
                    raise
            self._drop()
        raise StoreUnreachable("an object became shorter while it was read")

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
