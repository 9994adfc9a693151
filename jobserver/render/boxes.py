"""Read what the index (`moov`) of an MP4 declares, without trusting it.

ffmpeg can decode half of a file and still exit with status 0, so `probe` compares what ffmpeg
read with what the container declares. ffmpeg does not print the declared numbers, hence this
reader. It decodes no media. It reads box headers, at most 32 bytes at fixed offsets of a few
boxes, and whole only those that it has a limit for: `stts` and the boxes of fragments. It never
follows an offset out of the enclosing box, and stops after `MAX_BOXES` headers.

Source: ISO/IEC 14496-12 (4.2 boxes, 8.2.2 mvhd, 8.3.2 tkhd, 8.4.2 mdhd, 8.4.3 hdlr, 8.5.2 stsd,
8.6.1.2 stts, 8.6.6 elst, 8.7.3 stsz, 8.8 fragments, 8.12 protected media).
"""

import operator
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from jobserver.render.errors import NotAnMP4, Truncated, Unsupported
from jobserver.render.fragments import Fragments, check_end, check_order

# A live recording may have one fragment (two boxes) per frame, so a whole file may hold many
# boxes; an index has a few dozen per track.
MAX_BOXES, MAX_BOXES_IN_INDEX = 1_000_000, 100_000
# ffmpeg looks for each edit in all samples; a file as people cut it has a few dozen.
MAX_EDITS = 500
_MAX_LOADED = 16 * 1024**2  # bytes of a box that is read whole
_FIRST = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot"}
_REQUIRED = {b"ftyp", b"moov", b"mdat", b"moof"}
_CONTAINERS = {b"edts", b"mdia", b"minf", b"stbl"}  # mdia holds minf, minf holds stbl
_ENCRYPTED = {b"encv", b"enca", b"drmi", b"drms"}  # sample entries


class Box(NamedTuple):
    """A box: its four-letter type, and the file offsets where its payload starts and ends."""

    kind: bytes
    start: int
    end: int


@dataclass
class Track:
    """What the index declares about one track; None where it declares nothing.

    handler: `vide`, `soun`, or empty for other kinds. samples: number of samples, in fragments
    too. ticks: the sum of their durations. shown: seconds after the edit list is applied.
    stored: seconds of all samples. timescale: ticks per second. edits: entries of the edit list.
    edited: the sum of their durations, in ticks of the movie, if there are several. encrypted:
    whether the samples are encrypted.
    """

    id: int = 0
    handler: str = ""
    samples: int | None = None
    ticks: int = 0
    shown: float | None = None
    stored: float | None = None
    timescale: int = 0
    edits: int = 0
    edited: int = 0
    encrypted: bool = False

    @property
    def timed(self) -> float:
        """Seconds of all samples by their own durations, or 0 when not declared."""
        return self.ticks / self.timescale if self.timescale else 0.0


@dataclass
class Index:
    """What the index declares about the whole file.

    duration: seconds, or None when not declared. timescale: ticks per second of the movie
    header. fragmented: samples are declared in each fragment (`moof`), not in the index, and
    the first one may begin at any time. demuxer: of ffmpeg, the only one that may open the file.
    fragments_s: seconds of the movie with all its fragments, or 0. defaults: ticks of a sample
    in fragments, by track.
    """

    duration: float | None = None
    fragmented: bool = False
    tracks: list[Track] = field(default_factory=list)
    timescale: int = 0
    fragments_s: float = 0.0
    defaults: dict[int, int] = field(default_factory=dict)
    demuxer: str = "mov"


def read_index(path: Path) -> Index:
    """Read the index of an MP4.

    Raises NotAnMP4 when the file does not start with a box of an MP4, Truncated when a required
    box extends past the end of the file, the index or a fragment is missing, Damaged when
    fragments are out of place, Unsupported when there are more boxes than allowed, and OSError.
    """
    with path.open("rb") as file:
        boxes = _BoxReader(file)
        moov, fragmented = boxes.scan_file()
        if moov is None:
            raise Truncated
        index = _parse_index(boxes, moov)
        index.fragmented |= fragmented
        if fragmented:
            _add_fragments(index, boxes)
        return index


class _BoxReader:
    """Reads the boxes of one open file, and counts them to bound the time a file can cost."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.left = MAX_BOXES

    def scan_file(self) -> tuple[Box | None, bool]:
        """Return the `moov` box, or None without one, and whether the file has fragments.

        Trailing bytes that are not a box are ignored.
        """
        moov, fragmented, kind = None, False, b""
        for box in self.children(0, self.size):
            if not kind and box.kind not in _FIRST:
                raise NotAnMP4
            kind = box.kind
            if box.end > self.size and kind in _REQUIRED:
                raise Truncated
            fragmented |= kind == b"moof"
            moov = moov or (box if kind == b"moov" else None)
        if not kind:
            raise NotAnMP4
        return moov, fragmented

    def children(self, start: int, end: int) -> Iterator[Box]:
        """Yield the boxes between two file offsets; stop at the first malformed header."""
        while end - start >= 8 and (box := self._box(start, end)):
            yield box
            start = box.end

    def _box(self, start: int, end: int) -> Box | None:
        """Read the box header at `start`, or return None when it is malformed.

        Length 1 means that a 64-bit length follows, length 0 that the box extends to `end`.
        """
        self.left -= 1
        if self.left < 0:
            raise Unsupported("This video is in too many pieces to be read.")
        length, kind = struct.unpack(">I4s", self.read(start, 8))
        payload = start + 8
        if length == 1 and end - start >= 16:
            (length,) = struct.unpack(">Q", self.read(payload, 8))
            payload += 8
        stop = end if length == 0 else start + length
        return Box(kind, payload, stop) if stop >= payload and kind.strip(b"\0") else None

    def read(self, start: int, count: int) -> bytes:
        """Return exactly `count` bytes (at most 32), padded with zeros past the end of the file."""
        self.file.seek(min(start, self.size))
        return self.file.read(count).ljust(count, b"\0")

    def load(self, box: Box) -> bytes:
        """Return the payload of a box. Raises Unsupported when it is larger than allowed."""
        if box.end - box.start > _MAX_LOADED:
            raise Unsupported("This video is in too many pieces to be read.")
        self.file.seek(min(box.start, self.size))
        return self.file.read(box.end - box.start)


def _parse_index(boxes: _BoxReader, moov: Box) -> Index:
    """Parse the boxes inside `moov`."""
    boxes.left = MAX_BOXES_IN_INDEX
    index = Index()
    for box in boxes.children(moov.start, moov.end):
        if box.kind == b"mvhd":
            index.timescale, index.duration = _parse_duration(boxes, box)
        elif box.kind == b"mvex":
            index.fragmented = True
            _parse_defaults(boxes, box, index)
        elif box.kind == b"trak":
            index.tracks.append(_parse_track(boxes, box, index.timescale))
    return index


def _parse_duration(boxes: _BoxReader, box: Box) -> tuple[int, float | None]:
    """Parse `mvhd`, or `mdhd`, which starts with the same fields.

    Return the timescale (ticks per second) and the duration in seconds.
    """
    is_64bit = boxes.read(box.start, 1) == b"\1"
    scale, duration = struct.unpack(
        ">IQ" if is_64bit else ">II",
        boxes.read(box.start + (20 if is_64bit else 12), 12 if is_64bit else 8),
    )
    return scale, _seconds(duration, scale, is_64bit)


def _parse_track(boxes: _BoxReader, trak: Box, timescale: int) -> Track:
    track = Track()
    for box in _track_boxes(boxes, trak):
        if box.kind == b"tkhd":
            track.id, track.shown = _parse_track_header(boxes, box, timescale)
        elif box.kind == b"hdlr" and not track.handler:
            track.handler = _parse_handler(boxes, box)
        elif box.kind == b"mdhd":
            track.timescale, track.stored = _parse_duration(boxes, box)
        elif box.kind in (b"stsz", b"stz2"):
            (samples,) = struct.unpack(">I", boxes.read(box.start + 8, 4))
            track.samples = max(samples, track.samples or 0)
        elif box.kind == b"stts":
            samples, track.ticks = _count_timed(boxes, box)
            track.samples = max(samples, track.samples or 0)
        elif box.kind == b"elst":
            track.edits, track.edited = _count_edits(boxes, box)
        elif box.kind == b"stsd":
            entries = boxes.children(box.start + 8, box.end)
            track.encrypted = any(entry.kind in _ENCRYPTED for entry in entries)
    return track


def _track_boxes(boxes: _BoxReader, trak: Box) -> Iterator[Box]:
    """Yield the boxes inside `trak` and its nested containers, depth first.

    Nesting deeper than a valid file has is not followed.
    """
    levels = [boxes.children(trak.start, trak.end)]
    while levels:
        if (box := next(levels[-1], None)) is None:
            levels.pop()
        elif box.kind in _CONTAINERS and len(levels) <= len(_CONTAINERS):
            levels.append(boxes.children(box.start, box.end))
        else:
            yield box


def _parse_handler(boxes: _BoxReader, box: Box) -> str:
    """Return `vide`, `soun`, or empty: QuickTime has a second `hdlr`, for data, in minf."""
    kind = boxes.read(box.start + 8, 4).decode("latin-1")
    return kind if kind in ("vide", "soun") else ""


def _parse_track_header(boxes: _BoxReader, box: Box, timescale: int) -> tuple[int, float | None]:
    """Parse `tkhd`: return the track id and the duration in seconds, edit list applied."""
    is_64bit = boxes.read(box.start, 1) == b"\1"
    track_id, _, duration = struct.unpack(
        ">IIQ" if is_64bit else ">III",
        boxes.read(box.start + (20 if is_64bit else 12), 16 if is_64bit else 12),
    )
    return track_id, _seconds(duration, timescale, is_64bit)


def _seconds(duration: int, timescale: int, is_64bit: bool) -> float | None:
    """Convert a duration to seconds; None for all ones (unknown) and for 0 (not declared)."""
    unknown = 2**64 - 1 if is_64bit else 2**32 - 1
    return duration / timescale if timescale and duration not in (0, unknown) else None


def _count_timed(boxes: _BoxReader, stts: Box) -> tuple[int, int]:
    """Return how many samples have a duration, and the sum of these in ticks.

    They are as many as have a size, unless the index is damaged.
    """
    payload = boxes.load(stts)
    entries = max(0, min(int.from_bytes(payload[4:8]), (len(payload) - 8) // 8))
    words = struct.unpack_from(f">{2 * entries}I", payload.ljust(8, b"\0"), 8)
    return sum(words[::2]), sum(map(operator.mul, words[::2], words[1::2]))


def _count_edits(boxes: _BoxReader, elst: Box) -> tuple[int, int]:
    """Return the entries of an edit list, and the sum of their durations if they are several.

    Entries are as many as it declares and has room for. A single one is often wrong about its
    duration, and harmless: it shows nothing twice.
    """
    layout = ">QqI" if boxes.read(elst.start, 1) == b"\1" else ">IiI"
    size = struct.calcsize(layout)
    declared = int.from_bytes(boxes.read(elst.start + 4, 4))
    count = max(0, min(declared, (elst.end - elst.start - 8) // size))
    if not 1 < count <= MAX_EDITS:
        return count, 0
    entries = struct.iter_unpack(layout, boxes.load(elst)[8 : 8 + count * size])
    return count, sum(duration for duration, _, _ in entries)


def _parse_defaults(boxes: _BoxReader, mvex: Box, index: Index) -> None:
    """Parse what holds for all fragments: `trex` and `mehd`."""
    for box in boxes.children(mvex.start, mvex.end):
        if box.kind == b"trex":
            track, _, ticks = struct.unpack(">4xIII", boxes.read(box.start, 16))
            index.defaults[track] = ticks
        elif box.kind == b"mehd":
            wide = boxes.read(box.start, 1) == b"\1"
            ticks = int.from_bytes(boxes.read(box.start + 4, 8 if wide else 4))
            index.fragments_s = _seconds(ticks, index.timescale, wide) or 0.0


def _add_fragments(index: Index, boxes: _BoxReader) -> None:
    """Add what the fragments declare to their tracks. Raises as `check_order`, `check_end`."""
    fragments = Fragments(index.defaults)
    boxes.left = MAX_BOXES
    for box in boxes.children(0, boxes.size):
        if box.kind == b"moof":
            fragments.add(boxes.load(box))
        elif box.kind == b"mfra":
            fragments.add_random_access(boxes.load(box))
        elif box.kind == b"sidx":
            fragments.add_segment_index(boxes.load(box))
    scales = {track.id: track.timescale for track in index.tracks}
    check_order(fragments, {track.id: track.ticks for track in index.tracks})
    check_end(fragments, scales, index.fragments_s)
    for track in index.tracks:
        if (found := fragments.tracks.get(track.id)) and track.timescale:
            track.samples = (track.samples or 0) + found.samples
            track.ticks += found.ticks
            track.stored = track.timed
