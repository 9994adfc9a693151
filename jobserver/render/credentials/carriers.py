"""Where a file carries its C2PA manifest store: JUMBF bytes, found by the first bytes of the file.

Only headers are read on the way, at most MAX_PIECES of them, and no store beyond MAX_STORE.

Source: C2PA Technical Specification 2.1, A.3 (embedding manifests: BMFF, JPEG, PNG, RIFF).
"""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

MAX_STORE = 16 * 1024**2  # bytes; thumbnails of the source and of what it is made of are in it
MAX_PIECES = 10_000  # boxes, segments or chunks that are passed over
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_APP11, _START_OF_SCAN, _END_OF_IMAGE = 0xEB, 0xDA, 0xD9


def manifest_store(path: Path) -> bytes | None:
    """Return the JUMBF bytes that a file carries; None where it carries none, or too many.

    Raises ValueError or struct.error where what carries them is malformed, and OSError.
    """
    with path.open("rb") as file:
        find = _finder(file.read(12))
        found = b"".join(find(file))
    return found if 0 < len(found) <= MAX_STORE else None


def _finder(start: bytes) -> Callable[[BinaryIO], Iterator[bytes]]:
    if start.startswith(b"\xff\xd8\xff"):
        return _in_jpeg
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return _in_webp
    return _in_bmff


def _in_bmff(file: BinaryIO) -> Iterator[bytes]:
    """Yield the store of the last `uuid` box of C2PA at the top level of an MP4 or MOV.

    A file that was updated has an older one before it; boxes of hashes (`merkle`) are none.
    """
    found = b""
    end, place = os.fstat(file.fileno()).st_size, 0
    for _ in range(MAX_PIECES):
        length, kind, header = _box_header(file, place)
        if length < header or place + length > end:
            break
        if kind == b"uuid" and length <= MAX_STORE and file.read(16) == C2PA_BOX:
            found = _of_uuid_box(file.read(length - header - 16)) or found
        place += length
    yield found


def _box_header(file: BinaryIO, place: int) -> tuple[int, bytes, int]:
    """Return length, type and length of the header of the box at a place; zeros at the end."""
    file.seek(place)
    length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
    if length != 1:
        return length, kind, 8
    return int.from_bytes(file.read(8)), kind, 16


def _of_uuid_box(payload: bytes) -> bytes:
    """Return the store behind version and flags, purpose and offset; nothing of another purpose."""
    purpose, _, rest = payload[4:].partition(b"\0")
    return rest[8:] if purpose != b"merkle" else b""


def _in_jpeg(file: BinaryIO) -> Iterator[bytes]:
    """Yield the pieces of the JUMBF boxes in APP11 segments.

    Each segment repeats the header of its box; it counts in the first alone (ISO/IEC 19566-5, D.2).
    """
    file.seek(2)
    left = MAX_STORE + 1
    for _ in range(MAX_PIECES):
        mark = file.read(4)
        if len(mark) < 4 or mark[0] != 0xFF or mark[1] in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        length = int.from_bytes(mark[2:]) - 2
        if mark[1] != _APP11 or length < 16 or left <= 0:
            file.seek(max(0, length), os.SEEK_CUR)
            continue
        segment = file.read(length)
        if segment[:2] == b"JP":
            is_first = segment[4:8] == b"\0\0\0\1"
            repeated = 16 if segment[8:12] == b"\0\0\0\1" else 8
            piece = segment[8 if is_first else 8 + repeated :]
            left -= len(piece)
            yield piece


def _in_png(file: BinaryIO) -> Iterator[bytes]:
    """Yield the store of the chunk `caBX`."""
    file.seek(8)
    for _ in range(MAX_PIECES):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind == b"caBX" and length <= MAX_STORE:
            yield file.read(length)
            return
        file.seek(length + 4, os.SEEK_CUR)  # with its check sum


def _in_webp(file: BinaryIO) -> Iterator[bytes]:
    """Yield the store of the chunk `C2PA`."""
    for _ in range(MAX_PIECES):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        if kind == b"C2PA" and length <= MAX_STORE:
            yield file.read(length)
            return
        file.seek(length + length % 2, os.SEEK_CUR)
