"""Read the elements of an EBML file, the syntax of Matroska and WebM, without trusting it.

An element is an id, a size and that many bytes. Nothing is followed out of the enclosing element.

Source: RFC 8794 (4 variable size integers, 5 ids, 6 sizes and unknown ones).
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jobserver.render.errors import Damaged, Truncated, Unsupported

MAGIC = b"\x1a\x45\xdf\xa3"
MAX_ELEMENTS = 2_000_000  # an hour of 120 frames/s and sound, twice over
_MAX_ID, _MAX_SIZE = 4, 8  # bytes
_READ = _MAX_ID + _MAX_SIZE + 12  # bytes read at once: a header, and that of a block behind it


class Element(NamedTuple):
    """An element. at: file offset of its id. start, end: of its payload.

    is_open: it does not declare where it ends; `end` is that of what encloses it. head: the
    first bytes of the payload and what follows it, at least 12.
    """

    id: int
    at: int
    start: int
    end: int
    is_open: bool
    head: bytes


class EbmlReader:
    """Reads the elements of one open file, and counts them to bound the time a file can cost."""

    def __init__(self, file: BinaryIO) -> None:
        self._fd = file.fileno()
        self.size = os.fstat(self._fd).st_size
        self._left = MAX_ELEMENTS

    def element(self, at: int, limit: int) -> Element:
        """Read the header of the element at `at`, which must end at `limit` at the latest.

        Raises Truncated when the file ends before the element does, Damaged when there is none
        or it is too long, and Unsupported when more were read than is allowed.
        """
        self._left -= 1
        if self._left < 0:
            raise Unsupported("This video is in too many pieces to be read.")
        data = os.pread(self._fd, _READ, at).ljust(_READ, b"\xff")
        width = _width(data[0])
        size_width = _width(data[width])
        if width > _MAX_ID or size_width > _MAX_SIZE:
            raise Damaged(detail=f"there is no element at {at}")
        head = width + size_width
        unknown = (1 << 7 * size_width) - 1
        size = int.from_bytes(data[width:head]) & unknown
        start = at + head
        end = limit if size == unknown else start + size
        if max(start, end) > self.size:
            raise Truncated(detail=f"the element at {at} extends beyond the end of the file")
        if max(start, end) > limit:
            raise Damaged(detail=f"the element at {at} extends beyond {limit}")
        return Element(
            id=int.from_bytes(data[:width]),
            at=at,
            start=start,
            end=end,
            is_open=size == unknown,
            head=data[head:],
        )

    def children(self, start: int, end: int) -> Iterator[Element]:
        """Yield the elements from one file offset to another. Raises what `element` raises."""
        while start < end:
            element = self.element(start, end)
            yield element
            start = element.end

    def inside(self, parent: Element, *path: int) -> Iterator[Element]:
        """Yield the elements at a path of ids below another. Raises what `element` raises."""
        for each in self.children(parent.start, parent.end):
            if each.id == path[0]:
                yield from self.inside(each, *path[1:]) if path[1:] else (each,)

    def load(self, element: Element, count: int = 8) -> bytes:
        """Return the first `count` bytes of the payload, or as many as it has."""
        return os.pread(self._fd, min(count, element.end - element.start), element.start)

    def whole(self, parent: Element, *path: int) -> int:
        """Return the unsigned number at a path of ids below an element, or 0."""
        found = next(self.inside(parent, *path), None)
        return int.from_bytes(self.load(found)) if found else 0

    def real(self, parent: Element, *path: int) -> float:
        """Return the floating point number at a path of ids below an element, or 0."""
        found = next(self.inside(parent, *path), None)
        payload = self.load(found) if found else b""
        layout = {4: ">f", 8: ">d"}.get(len(payload))
        return float(struct.unpack(layout, payload)[0]) if layout else 0.0


def _width(first: int) -> int:
    """Return how many bytes an integer has, by the zero bits that its first byte begins with.

    Nine for a byte of zeros, with which none begins.
    """
    return 9 - first.bit_length()
