"""A ZIP whose layout is known before its first byte is read.

Members are stored, not deflated (video does not compress), and their sizes and CRC-32s are
known beforehand. So the archive is a list of segments of known length: its own length and any
byte range of it follow without reading a single video. Members may be appended later: what lies
before them stays as it is, byte for byte.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7, 4.3.12 to 4.3.16).
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

PIECE_SIZE = 256 * 1024
LIMIT_16, LIMIT_32 = 0xFFFF, 0xFFFFFFFF
UTF8_NAME = 1 << 11
VERSION, VERSION_ZIP64 = 20, 45
UNIX, REGULAR_FILE = 3 << 8, 0o100644 << 16


class Member(NamedTuple):
    """One file of the archive.

    size: bytes. modified: Unix seconds, UTC. content: its bytes, or what opens a file that
    has them from its start.
    """

    name: str
    size: int
    crc32: int
    modified: float
    content: bytes | Callable[[], BinaryIO]


def text_member(name: str, content: bytes, modified: float) -> Member:
    """Return a member of bytes in memory. modified: Unix seconds, UTC."""
    return Member(
        name, size=len(content), crc32=zlib.crc32(content), modified=modified, content=content
    )


def members_end(members: Sequence[Member]) -> int:
    """Return at which byte of an archive its members end, when these are the first of it."""
    return sum(len(_local_header(member)) + member.size for member in members)


def archive_length(members: Sequence[Member], index: Sequence[Member]) -> int:
    """Return how long an Archive of these would be; opens no file."""
    every = [*members, *index]
    return members_end(every) + len(_directory(every, len(index)))


class Archive:
    """A stored ZIP of `members` in their sequence and, behind them, of `index`.

    index: members that describe the others; the first in the directory, so that readers list
    them first. length: bytes. fingerprint: another one for other bytes, as long as the CRC-32s of
    the members say what is in them; 64 hexadecimal digits.

    Opens every file at once, so that a missing one is noticed before the first byte is sent and
    one that is removed later is still there to be read. Raises OSError; close() when done.
    """

    def __init__(self, members: Sequence[Member], index: Sequence[Member] = ()) -> None:
        self._segments: list[tuple[int, bytes | BinaryIO]] = []
        every = [*members, *index]
        try:
            for member in every:
                header = _local_header(member)
                self._segments += [(len(header), header), (member.size, _opened(member))]
        except BaseException:
            self.close()
            raise
        directory = _directory(every, len(index))
        self._segments.append((len(directory), directory))
        self.length = sum(length for length, _ in self._segments)
        in_memory = [content for _, content in self._segments if isinstance(content, bytes)]
        self.fingerprint = hashlib.sha256(b"".join(in_memory)).hexdigest()

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`, in pieces of PIECE_SIZE at most."""
        position = 0
        for length, content in self._segments:
            first, last = max(start - position, 0), min(stop - position, length)
            if first < last:
                yield from _pieces(content, first, last)
            position += length

    def close(self) -> None:
        """Close the files."""
        for _, content in self._segments:
            if not isinstance(content, bytes):
                content.close()


def _opened(member: Member) -> bytes | BinaryIO:
    if isinstance(member.content, bytes):
        return member.content
    file = member.content()
    if file.seek(0, os.SEEK_END) != member.size:
        file.close()
        raise FileNotFoundError(f"{member.name} does not have its size any more")
    return file


def _pieces(content: bytes | BinaryIO, first: int, last: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content[first:last]
        return
    content.seek(first)
    while first < last:
        piece = content.read(min(PIECE_SIZE, last - first))
        if not piece:
            raise OSError("a file became shorter while it was read")
        first += len(piece)
        yield piece


def _local_header(member: Member) -> bytes:
    name = member.name.encode()
    large = member.size >= LIMIT_32
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.size) if large else b""
    size = LIMIT_32 if large else member.size
    return struct.pack(
        "<4sHHHIIIIHH",
        b"PK\3\4",
        VERSION_ZIP64 if large else VERSION,
        UTF8_NAME,
        0,  # stored
        _dos_time(member.modified),
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
    ) + (name + extra)


def _directory(members: Sequence[Member], index_count: int) -> bytes:
    """Return what comes behind the last member: an entry of each, and the end.

    index_count: how many of the last come first.
    """
    entries, offset = [], 0
    for member in members:
        entries.append(_directory_entry(member, offset))
        offset += members_end([member])
    index_at = len(entries) - index_count
    entries = entries[index_at:] + entries[:index_at]
    listed = b"".join(entries)
    return listed + _end(len(members), len(listed), offset)


def _directory_entry(member: Member, offset: int) -> bytes:
    name = member.name.encode()
    sizes = (member.size, member.size) if member.size >= LIMIT_32 else ()
    wide = (*sizes, *((offset,) if offset >= LIMIT_32 else ()))
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = VERSION_ZIP64 if wide else VERSION
    return struct.pack(
        "<4sHHHHIIIIHHHHHII",
        b"PK\1\2",
        UNIX | version,
        version,
        UTF8_NAME,
        0,  # stored
        _dos_time(member.modified),
        member.crc32,
        min(member.size, LIMIT_32),
        min(member.size, LIMIT_32),
        len(name),
        len(extra),
        0,  # comment
        0,  # disk
        0,  # internal attributes
        REGULAR_FILE,
        min(offset, LIMIT_32),
    ) + (name + extra)


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of central directory, in its ZIP64 form first where that is needed."""
    plain = struct.pack(
        "<4sHHHHIIH",
        b"PK\5\6",
        0,
        0,
        min(count, LIMIT_16),
        min(count, LIMIT_16),
        min(size, LIMIT_32),
        min(offset, LIMIT_32),
        0,
    )
    if count < LIMIT_16 and size < LIMIT_32 and offset < LIMIT_32:
        return plain
    version = VERSION_ZIP64
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, UNIX | version, version, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    return record + locator + plain


def _dos_time(seconds: float) -> int:
    """Return MS-DOS date and time as one number: two-second steps from 1980 to 2107."""
    at = datetime.fromtimestamp(min(max(seconds, 315532800), 4354819198), UTC)
    date = (at.year - 1980) << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second >> 1
