"""The frames of a picture shot, as the index of its MP4 lists them, and checksums of their bytes.

Only for files that `render_shots` wrote: one track, at most one edit, no fragments. What a
client uploaded is read by `boxes`, which trusts nothing.

Source: ISO/IEC 14496-12 (8.4.2 mdhd, 8.6.1.2 stts, 8.6.1.3 ctts, 8.6.2 stss, 8.6.6 elst,
8.7.3 stsz, 8.7.4 stsc, 8.7.5 stco and co64).
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import BinaryIO

from jobserver.render.errors import Damaged

_VIDEO_ENTRY = 8 + 78  # bytes of a sample entry before the boxes in it
_ENTRY_SIZE = slice(8 + 24, 8 + 28)  # width and height
_CONTAINERS = {b"trak", b"edts", b"mdia", b"minf", b"stbl"}


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames in the sequence of the file, which is that of decoding.

    timescale: ticks a second of all other numbers. decoded, shown: when each is, counted from
    second 0 of a player. durations: of each. keys: places of those that decoding can begin with.
    checksums: Adler-32 of the bytes of each, as ffmpeg's framecrc counts it (from 0, not 1).
    configuration: what a decoder must know before the first one (size, SPS, PPS).
    """

    timescale: int
    decoded: Sequence[int]
    shown: Sequence[int]
    durations: Sequence[int]
    keys: Sequence[int]
    checksums: Sequence[int]
    configuration: bytes

    @property
    def end(self) -> int:
        """When the last frame that is shown ends, in ticks."""
        return max(map(sum, zip(self.shown, self.durations, strict=True)))


def read_frames(path: Path) -> Frames:
    """Read the index of a shot and its frames. Raises Damaged when it is none, and OSError."""
    try:
        with path.open("rb") as file:
            boxes = dict(_boxes(_index(file)))
            return _frames(boxes, list(_checksums(file, boxes)))
    except (struct.error, KeyError, ValueError) as error:
        raise Damaged(detail=f"{path.name} is no shot: {error!r}") from error


def _index(file: BinaryIO) -> bytes:
    """Return the payload of the `moov` box."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        size = length - 8
        if length == 1:
            size = int.from_bytes(file.read(8)) - 16
        if kind == b"moov":
            return file.read(size)
        file.seek(size, 1)
    raise ValueError("no moov")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and payload of each box, from inside containers too."""
    start = 0
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        payload = data[start + 8 : start + max(8, length)]
        if kind in _CONTAINERS:
            yield from _boxes(payload)
        else:
            yield kind, payload
        start += max(8, length)


def _frames(boxes: dict[bytes, bytes], checksums: Sequence[int]) -> Frames:
    durations = [ticks for count, ticks in _entries(boxes[b"stts"], ">II") for _ in range(count)]
    delays = [0] * len(durations)
    if b"ctts" in boxes:
        delays = [ticks for count, ticks in _entries(boxes[b"ctts"], ">Ii") for _ in range(count)]
    keys: Sequence[int] = range(len(durations))
    if b"stss" in boxes:
        keys = [number - 1 for (number,) in _entries(boxes[b"stss"], ">I")]
    decoded = list(accumulate(durations[:-1], initial=-_shown_from(boxes.get(b"elst"))))
    shown = [at + delay for at, delay in zip(decoded, delays, strict=True)]
    return Frames(
        timescale=_timescale(boxes[b"mdhd"]),
        decoded=decoded,
        shown=shown,
        durations=durations,
        keys=keys,
        checksums=checksums,
        configuration=_configuration(boxes[b"stsd"]),
    )


def _checksums(file: BinaryIO, boxes: dict[bytes, bytes]) -> Iterator[int]:
    """Yield the checksum of each frame's bytes."""
    sizes = (size for (size,) in _entries(boxes[b"stsz"][4:], ">I"))
    if uniform := int.from_bytes(boxes[b"stsz"][4:8]):
        sizes = (uniform for _ in range(int.from_bytes(boxes[b"stsz"][8:12])))
    for offset, count in _chunks(boxes):
        file.seek(offset)
        for size in islice(sizes, count):
            yield zlib.adler32(file.read(size), 0)


def _chunks(boxes: dict[bytes, bytes]) -> Iterator[tuple[int, int]]:
    """Yield where each chunk of the file begins, and how many frames lie in it."""
    table, layout = (b"co64", ">Q") if b"co64" in boxes else (b"stco", ">I")
    offsets = [offset for (offset,) in _entries(boxes[table], layout)]
    runs = _entries(boxes[b"stsc"], ">III")  # first chunk, frames in each, description
    ends = [*(first for first, *_ in runs[1:]), len(offsets) + 1]
    counts = [
        count for (first, count, _), end in zip(runs, ends, strict=True) for _ in range(end - first)
    ]
    return zip(offsets, counts, strict=True)


def _entries(payload: bytes, layout: str) -> list[tuple[int, ...]]:
    """Return the entries of a table: a count of 32 bits stands before them."""
    count, size = int.from_bytes(payload[4:8]), struct.calcsize(layout)
    return list(struct.iter_unpack(layout, payload[8 : 8 + count * size]))


def _timescale(mdhd: bytes) -> int:
    return int.from_bytes(mdhd[20:24] if mdhd[0] else mdhd[12:16])


def _shown_from(elst: bytes | None) -> int:
    """Return the tick of the track that a player shows at second 0."""
    if elst is None:
        return 0
    [(_, start, _)] = _entries(elst, ">QqI" if elst[0] else ">IiI")
    if start < 0:
        raise ValueError("it begins with a pause")
    return int(start)


def _configuration(stsd: bytes) -> bytes:
    """Return the size and the `avcC` of the first sample entry. Source: ISO/IEC 14496-15, 5.3."""
    entry = stsd[8:]
    nested = dict(_boxes(entry[_VIDEO_ENTRY:]))
    return entry[_ENTRY_SIZE] + nested[b"avcC"]
