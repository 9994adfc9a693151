"""What an MP4's index promises, read without trusting it.

Half a file can decode with exit status 0, so what ffmpeg read is compared with what the
container says it holds. ffmpeg does not print that, hence this reader. It judges no media:
it walks box headers, reads at most 32 bytes of a few boxes at fixed places, follows no
offset outside the box it is in, keeps no box, and gives up after `MAX_BOXES` headers.

Source: ISO/IEC 14496-12 (4.2 boxes, 8.2.2 mvhd, 8.3.2 tkhd, 8.4.2 mdhd, 8.4.3 hdlr, 8.5.2 stsd,
8.7.3 stsz, 8.12 protected media).
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from jobserver.render.errors import NotAnMP4, Truncated, Unsupported

# A live recording has a fragment, so two boxes, a frame; an index of that many says nothing.
MAX_BOXES, MAX_IN_INDEX = 1_000_000, 100_000
_FIRST = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot"}
_NEEDED = {b"ftyp", b"moov", b"mdat", b"moof"}
_INSIDE = {b"mdia", b"minf", b"stbl"}  # each in the one before
_ENCRYPTED = {b"encv", b"enca", b"drmi", b"drms"}


class Box(NamedTuple):
    """A box's four-letter kind and where its payload begins and ends in the file."""

    kind: bytes
    start: int
    end: int


@dataclass
class Track:
    """One track: id, handler (`vide`, `soun` or empty), samples and seconds promised, or None.

    shown: seconds with edits applied. stored: seconds of all samples. encrypted: whether its
    samples need a key.
    """

    id: int = 0
    handler: str = ""
    samples: int | None = None
    shown: float | None = None
    stored: float | None = None
    encrypted: bool = False


@dataclass
class Index:
    """What the whole container promises; fragmented files promise samples piecemeal."""

    duration: float | None = None
    fragmented: bool = False
    tracks: list[Track] = field(default_factory=list)
    timescale: int = 0


def read_index(path: Path) -> Index:
    """Read the promises of an MP4.

    Raises NotAnMP4 when the boxes make no sense, Truncated when a box that matters runs
    beyond the end of the file or the index is missing, Unsupported when there are too many
    boxes, OSError.
    """
    with path.open("rb") as file:
        walk = _Walk(file)
        moov, fragmented = walk.whole_file()
        if moov is None:
            raise Truncated
        index = walk.index(moov)
        index.fragmented |= fragmented
        return index


class _Walk:
    """Reads boxes of one open file and counts them, so that no file can keep it busy."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.left = MAX_BOXES

    def whole_file(self) -> tuple[Box | None, bool]:
        """Return the index and whether there are fragments.

        Bytes of no meaning after the media are let pass.
        """
        moov, fragmented, kind = None, False, b""
        for box in self.children(0, self.size):
            if not kind and box.kind not in _FIRST:
                raise NotAnMP4
            kind = box.kind
            if box.end > self.size and kind in _NEEDED:
                raise Truncated
            fragmented |= kind == b"moof"
            moov = moov or (box if kind == b"moov" else None)
        if not kind:
            raise NotAnMP4
        return moov, fragmented

    def children(self, start: int, end: int) -> Iterator[Box]:
        """Yield the boxes between two offsets; stop at the first that is none."""
        while end - start >= 8 and (box := self._box(start, end)):
            yield box
            start = box.end

    def index(self, moov: Box) -> Index:
        """Gather the promises inside `moov`."""
        self.left = MAX_IN_INDEX
        index = Index()
        for box in self.children(moov.start, moov.end):
            if box.kind == b"mvhd":
                index.timescale, index.duration = self._movie(box)
            elif box.kind == b"mvex":
                index.fragmented = True
            elif box.kind == b"trak":
                index.tracks.append(self._track(box, index.timescale))
        return index

    def _box(self, start: int, end: int) -> Box | None:
        self.left -= 1
        if self.left < 0:
            raise Unsupported("This video is in too many pieces to be read.")
        length, kind = struct.unpack(">I4s", self._bytes(start, 8))
        payload = start + 8
        if length == 1 and end - start >= 16:
            (length,) = struct.unpack(">Q", self._bytes(payload, 8))
            payload += 8
        stop = end if length == 0 else start + length
        return Box(kind, payload, stop) if stop >= payload and kind.strip(b"\0") else None

    def _bytes(self, start: int, count: int) -> bytes:
        """Return exactly `count` (at most 32) bytes, zeros where the file has none."""
        self.file.seek(min(start, self.size))
        return self.file.read(count).ljust(count, b"\0")

    def _movie(self, box: Box) -> tuple[int, float | None]:
        """Return ticks a second and seconds; mdhd (8.4.2) begins exactly as mvhd does."""
        long_form = self._bytes(box.start, 1) == b"\1"
        scale, duration = struct.unpack(
            ">IQ" if long_form else ">II",
            self._bytes(box.start + (20 if long_form else 12), 12 if long_form else 8),
        )
        return scale, _seconds(duration, scale, long_form)

    def _track(self, trak: Box, timescale: int) -> Track:
        track = Track()
        for box in self._inner(trak):
            if box.kind == b"tkhd":
                track.id, track.shown = self._header(box, timescale)
            elif box.kind == b"hdlr" and not track.handler:
                track.handler = self._handler(box)
            elif box.kind == b"mdhd":
                _, track.stored = self._movie(box)
            elif box.kind == b"stsz":
                (track.samples,) = struct.unpack(">I", self._bytes(box.start + 8, 4))
            elif box.kind == b"stsd":
                entries = self.children(box.start + 8, box.end)
                track.encrypted = any(entry.kind in _ENCRYPTED for entry in entries)
        return track

    def _inner(self, trak: Box) -> Iterator[Box]:
        """Yield the boxes that tell of a track, however deep they should be."""
        walks = [self.children(trak.start, trak.end)]
        while walks:
            if (box := next(walks[-1], None)) is None:
                walks.pop()
            elif box.kind in _INSIDE and len(walks) <= len(_INSIDE):
                walks.append(self.children(box.start, box.end))
            else:
                yield box

    def _handler(self, box: Box) -> str:
        """Return `vide` or `soun`; QuickTime has a second hdlr, of the data, in minf."""
        kind = self._bytes(box.start + 8, 4).decode("latin-1")
        return kind if kind in ("vide", "soun") else ""

    def _header(self, box: Box, timescale: int) -> tuple[int, float | None]:
        long_form = self._bytes(box.start, 1) == b"\1"
        track_id, _, duration = struct.unpack(
            ">IIQ" if long_form else ">III",
            self._bytes(box.start + (20 if long_form else 12), 16 if long_form else 12),
        )
        return track_id, _seconds(duration, timescale, long_form)


def _seconds(duration: int, timescale: int, long_form: bool) -> float | None:
    """Turn a duration into seconds; all ones means unknown, zero is none to rely on."""
    unknown = 2**64 - 1 if long_form else 2**32 - 1
    return duration / timescale if timescale and duration not in (0, unknown) else None
