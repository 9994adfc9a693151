"""Change the boxes of a file whose index is its last box."""

import random
import re
import struct
from itertools import islice, pairwise


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def track_at(data: bytes, number: int) -> int:
    """Return where the box of a track starts, counted from 0."""
    return [found.start() - 4 for found in re.finditer(b"trak", data)][number]


def with_field(data: bytes, kind: bytes, offset: int, value: int, after: int = 0) -> bytes:
    """Write a 32-bit number into the payload of the first box of this kind after a place."""
    at = data.index(kind, after) + 4 + offset
    return data[:at] + struct.pack(">I", value) + data[at + 4 :]


def field(data: bytes, kind: bytes, offset: int, after: int = 0) -> int:
    at = data.index(kind, after) + 4 + offset
    return int.from_bytes(data[at : at + 4])


def with_edits(data: bytes, count: int, track: int = 0) -> bytes:
    """Replace the edit list of a track: all of it, so many times."""
    trak = track_at(data, track)
    end = trak + int.from_bytes(data[trak : trak + 4])
    start = data.index(b"edts", trak, end) - 4
    length = int.from_bytes(data[start : start + 4])
    ticks, begin = field(data, b"elst", 8, trak), field(data, b"elst", 12, trak)
    entries = struct.pack(">IiI", ticks, begin, 1 << 16) * count
    edits = box(b"edts", box(b"elst", struct.pack(">II", 0, count) + entries))
    changed = bytearray(data[:start] + edits + data[start + length :])
    for place in (trak, data.index(b"moov") - 4):
        size = int.from_bytes(data[place : place + 4]) + len(edits) - length
        struct.pack_into(">I", changed, place, size)
    return bytes(changed)


def with_dolby_vision(data: bytes, profile: int, compatibility: int) -> bytes:
    """Say of an HEVC video that it is Dolby Vision (dvcC or dvvC in its sample entry)."""
    flags = profile << 9 | 4 << 3 | 0b101  # level 4; metadata and a base layer, nothing else
    payload = struct.pack(">BBHB", 1, 0, flags, compatibility << 4).ljust(24, b"\0")
    record = box(b"dvcC" if profile < 8 else b"dvvC", payload)
    entry = data.index(b"hvc1", data.index(b"stsd")) - 4
    end = entry + int.from_bytes(data[entry : entry + 4])
    changed = bytearray(data[:end] + record + data[end:])
    parents = (data.index(kind) - 4 for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"))
    for place in (*parents, data.index(b"stsd") - 4, entry):
        size = int.from_bytes(data[place : place + 4]) + len(record)
        struct.pack_into(">I", changed, place, size)
    return bytes(changed)


def with_random_samples(data: bytes, track: int, seed: int = 1) -> bytes:
    """Fill every sample of a track with random bytes."""
    chance, changed = random.Random(seed), bytearray(data)
    for at, size in _chunks(data, track_at(data, track)):
        changed[at : at + size] = chance.randbytes(size)
    return bytes(changed)


def _chunks(data: bytes, trak: int) -> list[tuple[int, int]]:
    """Return offset and bytes of each chunk of a track (stco, stsc, stsz)."""
    offsets = _table(data, b"stco", trak, 1)
    runs = [*_table(data, b"stsc", trak, 3), (len(offsets) + 1, 0, 0)]
    counts = [
        samples
        for (first, samples, _), (after, _, _) in pairwise(runs)
        for _ in range(first, after)
    ]
    count, size = field(data, b"stsz", 8, trak), field(data, b"stsz", 4, trak)
    at = data.index(b"stsz", trak) + 16
    sizes = iter([size] * count if size else struct.unpack_from(f">{count}I", data, at))
    return [
        (offset, sum(islice(sizes, samples)))
        for (offset,), samples in zip(offsets, counts, strict=True)
    ]


def _table(data: bytes, kind: bytes, trak: int, width: int) -> list[tuple[int, ...]]:
    at, count = data.index(kind, trak) + 12, field(data, kind, 4, trak)
    return list(struct.iter_unpack(f">{width}I", data[at : at + 4 * width * count]))
