"""Read the superboxes of JUMBF bytes: each has a description with a label, and boxes.

Source: ISO/IEC 19566-5 (JUMBF), 5 and A.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_BOXES = 20_000  # of a store, over all levels
_HAS_LABEL = 0x02  # toggles of a description


class TooManyBoxes(ValueError):
    """A store in more boxes than any tool writes."""


class Box(NamedTuple):
    """A box: its four-letter type, and where in the bytes its content starts and ends."""

    kind: bytes
    start: int
    end: int


class Store:
    """JUMBF bytes, and how many boxes of them may still be read."""

    def __init__(self, content: bytes) -> None:
        self._content, self._left = content, MAX_BOXES

    def top(self) -> Iterator[Box]:
        """Yield the boxes of the highest level."""
        yield from self._boxes(0, len(self._content))

    def superboxes(self, inside: Iterator[Box]) -> Iterator[tuple[str, list[Box]]]:
        """Yield label and boxes of each superbox among some boxes. Raises ValueError."""
        for box in inside:
            if box.kind != b"jumb":
                continue
            children = list(self._boxes(box.start, box.end))
            if children and children[0].kind == b"jumd":
                yield self._label(children[0]), children[1:]

    def content(self, box: Box) -> bytes:
        """Return what is in a box."""
        return self._content[box.start : box.end]

    def _boxes(self, start: int, end: int) -> Iterator[Box]:
        """Yield the boxes between two places; stop at the first malformed header.

        Length 1 means that a 64-bit length follows, length 0 that the box extends to `end`.
        """
        while end - start >= 8:
            self._left -= 1
            if self._left < 0:
                raise TooManyBoxes
            length, kind = struct.unpack_from(">I4s", self._content, start)
            content = start + 8
            if length == 1 and end - start >= 16:
                (length,) = struct.unpack_from(">Q", self._content, content)
                content += 8
            stop = end if length == 0 else start + length
            if not content <= stop <= end:
                return
            yield Box(kind, content, stop)
            start = stop

    def _label(self, description: Box) -> str:
        content = self.content(description)
        if len(content) < 17 or not content[16] & _HAS_LABEL:
            return ""
        return content[17:].partition(b"\0")[0].decode("utf-8", "replace")
