"""Read what a Matroska or WebM file declares, and whether all of it is there.

ffmpeg skips what it cannot read, and exits with status 0. So every block is found by its size
and counted, to be compared with what ffmpeg read. What may name other files (linked segments,
attachments, ordered chapters) is not read at all; ffmpeg follows none of it either.

Source: RFC 9559 (5.1.2 Info, 5.1.3 Cluster, 5.1.4 Tracks, 5.1.5 Cues, 10 blocks).
"""

import math
from collections.abc import Collection
from pathlib import Path

from jobserver.render.boxes import Index, Track
from jobserver.render.ebml import EbmlReader, Element
from jobserver.render.errors import Damaged, NotAnMP4, Truncated

_DOC_TYPE, _SEGMENT = 0x4282, 0x18538067
_SEEK_HEAD, _INFO, _TRACKS, _CUES = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B
_TAGS, _CHAPTERS, _ATTACHMENTS = 0x1254C367, 0x1043A770, 0x1941A469
_TIMESTAMP = 0xE7
_CLUSTER, _BLOCK_GROUP, _BLOCK, _SIMPLE_BLOCK = 0x1F43B675, 0xA0, 0xA1, 0xA3
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_ENTRY, _NUMBER, _TYPE, _CODEC = 0xAE, 0xD7, 0x83, 0x86
_ENCRYPTION = (0x6D80, 0x6240, 0x5035)
_CUE = (0xBB, 0xB7, 0xF1)  # down to the place of its cluster
# With one of these ends a cluster that does not declare where it ends.
_TOP = {_SEEK_HEAD, _INFO, _TRACKS, _CUES, _TAGS, _CHAPTERS, _ATTACHMENTS, _CLUSTER}
_HANDLERS = {1: "vide", 2: "soun", 17: "", 33: ""}  # of other types ffmpeg makes no stream
_DEFAULT_SCALE = 1_000_000  # nanoseconds
_DOC_TYPES = {b"matroska": "mkv", b"webm": "webm"}
_LACED = 0x06  # flags of a block that holds several frames


def read_matroska(path: Path, accept: Collection[str]) -> Index:
    """Read the structure of a Matroska or WebM file; ids of tracks are ffmpeg's stream numbers.

    accept: `mkv`, `webm` or both. Raises NotAnMP4 when it is another one, Truncated when a part
    is cut off, Damaged when one is not where the structure says, Unsupported when there are too
    many, and OSError.
    """
    with path.open("rb") as file:
        reader = EbmlReader(file)
        head = reader.element(0, reader.size)
        names = [reader.load(each).rstrip(b"\0") for each in reader.inside(head, _DOC_TYPE)]
        if not any(_DOC_TYPES.get(name) in accept for name in names[:1]):
            raise NotAnMP4
        for element in reader.children(head.end, reader.size):
            if element.id == _SEGMENT:
                return _Segment(reader, element).read()
        raise Truncated


class _Segment:
    """Reads the segment, which holds all of a file.

    numbers: the tracks by the number that blocks name. clusters: where they begin. cues: where
    some of them begin by the index. scale: nanoseconds of a tick. seconds: the declared duration,
    or 0. first: ticks at which the first cluster begins; a recording may begin late.
    """

    def __init__(self, reader: EbmlReader, segment: Element) -> None:
        self.reader, self.segment = reader, segment
        self.tracks: list[Track] = []
        self.numbers: dict[int, Track] = {}
        self.clusters: set[int] = set()
        self.cues: set[int] = set()
        self.scale, self.seconds, self.first = _DEFAULT_SCALE, 0.0, 0

    def read(self) -> Index:
        """Read all of it. Raises Truncated, Damaged or Unsupported."""
        at = self.segment.start
        while at < self.segment.end:
            element = self.reader.element(at, self.segment.end)
            at = self._read_cluster(element) if element.id == _CLUSTER else element.end
            self._add(element)
        if not self.cues <= self.clusters:
            raise Damaged(detail="the index names a cluster that is not there")
        seconds = self.seconds if 0 < self.seconds < math.inf else None
        for track in self.tracks:
            track.stored = max(0.0, self.seconds - self.first * self.scale / 1e9)
        return Index(
            duration=seconds,
            fragmented=True,
            tracks=self.tracks,
            demuxer="matroska",
        )

    def _add(self, element: Element) -> None:
        if element.id == _INFO:
            self.scale = self.reader.whole(element, _SCALE) or _DEFAULT_SCALE
            self.seconds = self.reader.real(element, _DURATION) * self.scale / 1e9
        elif element.id == _TRACKS:
            for entry in self.reader.inside(element, _ENTRY):
                self._add_track(entry)
        elif element.id == _CUES:
            places = self.reader.inside(element, *_CUE)
            start = self.segment.start
            self.cues |= {start + int.from_bytes(self.reader.load(each)) for each in places}

    def _add_track(self, entry: Element) -> None:
        kind = self.reader.whole(entry, _TYPE)
        if kind not in _HANDLERS or not any(self.reader.inside(entry, _CODEC)):
            return
        track = Track(
            id=len(self.tracks),
            handler=_HANDLERS[kind],
            samples=0,
            encrypted=any(self.reader.inside(entry, *_ENCRYPTION)),
        )
        self.tracks.append(track)
        self.numbers.setdefault(self.reader.whole(entry, _NUMBER), track)

    def _read_cluster(self, cluster: Element) -> int:
        """Count the frames of a cluster; return where it ends."""
        if not self.clusters:
            self.first = self.reader.whole(cluster, _TIMESTAMP)
        self.clusters.add(cluster.at)
        for element in self.reader.children(cluster.start, cluster.end):
            if cluster.is_open and element.id in _TOP:
                return element.at
            if element.id == _SIMPLE_BLOCK:
                self._count(element)
            elif element.id == _BLOCK_GROUP:
                for block in self.reader.inside(element, _BLOCK):
                    self._count(block)
        return cluster.end

    def _count(self, block: Element) -> None:
        """Count the frames of a block: number of the track, time, flags, frames if laced."""
        width = min(8, 9 - block.head[0].bit_length())
        number = int.from_bytes(block.head[:width]) & (1 << 7 * width) - 1
        flags, extra = block.head[width + 2 : width + 4]
        if track := self.numbers.get(number):
            track.samples = (track.samples or 0) + (extra + 1 if flags & _LACED else 1)
