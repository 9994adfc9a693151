"""Decode CBOR of strangers into plain values, without trusting it.

Our own, since cbor2 decodes in C: faults in such decoders have been holes, and this is
read in a worker, outside the sandbox. Only what claims and assertions need: values of tags are
taken without them.

Source: RFC 8949 (3 data items, 3.2 indefinite lengths, appendix B jump table).
"""

import struct
from typing import Any

MAX_DEPTH, MAX_ITEMS = 32, 50_000
_BREAK = object()
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


def decode(content: bytes) -> Any:
    """Return the first data item: int, float, bool, None, bytes, str, list or dict.

    Raises ValueError where it is malformed, too deep or has too many items.
    """
    return _Decoder(content).item(0)


class _Decoder:
    def __init__(self, content: bytes) -> None:
        self._content, self._place, self._left = content, 0, MAX_ITEMS

    def item(self, depth: int) -> Any:
        """Return the next item, or _BREAK where one ends an indefinite length."""
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise ValueError("too many items, or too deep")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        length = self._length(info)
        if length is None and major in (0, 1, 6):
            raise ValueError("an indefinite number")
        if major < 2:
            return length if major == 0 else -1 - (length or 0)
        if major < 4:
            return self._string(major, length, depth)
        if major == 4:
            return self._items(length, depth)
        return self._map(length, depth) if major == 5 else self.item(depth + 1)

    def _take(self, count: int) -> bytes:
        piece = self._content[self._place : self._place + count]
        if len(piece) < count:
            raise ValueError("the content ends within an item")
        self._place += count
        return piece

    def _length(self, info: int) -> int | None:
        """Return the number in or behind the first byte; None for an indefinite one."""
        if info < 24:
            return info
        if info == 31:
            return None
        if info > 27:
            raise ValueError("a reserved length")
        return int.from_bytes(self._take(1 << (info - 24)))

    def _simple(self, info: int) -> Any:
        if info in _FLOATS:
            layout = _FLOATS[info]
            return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        if info == 31:
            return _BREAK
        return _SIMPLE.get(self._take(1)[0] if info == 24 else info)

    def _string(self, major: int, length: int | None, depth: int) -> bytes | str:
        if length is None:
            joined = b"".join(map(_as_bytes, self._items(None, depth)))
        else:
            joined = self._take(length)
        return joined if major == 2 else joined.decode("utf-8", "replace")

    def _items(self, length: int | None, depth: int) -> list[Any]:
        found: list[Any] = []
        while length is None or len(found) < length:
            value = self.item(depth + 1)
            if value is _BREAK:
                if length is None:
                    break
                raise ValueError("a break within a definite length")
            found.append(value)
        return found

    def _map(self, length: int | None, depth: int) -> dict[Any, Any]:
        found = self._items(None if length is None else 2 * length, depth)
        keys = found[::2]
        if len(found) % 2 or any(isinstance(key, list | dict) for key in keys):
            raise ValueError("a map with a key that is none")
        return dict(zip(keys, found[1::2], strict=True))


def _as_bytes(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, bytes):
        return chunk
    raise ValueError("a string of something else")
