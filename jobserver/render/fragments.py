"""Read what the fragments of an MP4 declare, and whether one is missing or out of place.

ffmpeg plays the fragments that are there, however many are gone. Two numbers of a fragment
say more: its sequence number (`mfhd`) and the time at which it starts (`tfdt`). Neither is
enough alone: a camera that pauses leaves a gap of time between two fragments, and some writers
count fragments in steps of two. Fragments are missing when a number and a time are.

Source: ISO/IEC 14496-12 (8.8.4 moof, 8.8.5 mfhd, 8.8.7 tfhd, 8.8.8 trun, 8.8.10 tfra, 8.8.12
tfdt, 8.16.3 sidx).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobserver.render.errors import Damaged, Truncated, Unsupported

# Entries with a size, a duration, flags or an offset of their own: an hour of 60 frames/s and of
# AAC at 48 kHz, four times over. More is taken for an attack.
MAX_ENTRIES = 1_500_000
_MIN_SLACK_S = 0.1  # what a writer may round off the length of the whole file
_DURATION, _SAMPLE_FIELDS = 0x100, (0x100, 0x200, 0x400, 0x800)


@dataclass
class Fragment:
    """What one fragment declares about one track.

    sequence: of the fragment. start: decode time of its first sample, or None without `tfdt`.
    samples: how many. ticks: the sum of their durations.
    """

    track: int
    sequence: int
    start: int | None = None
    samples: int = 0
    ticks: int = 0

    @property
    def average(self) -> float:
        """Ticks of a sample."""
        return self.ticks / max(1, self.samples)


@dataclass
class FragmentedTrack:
    """All fragments of one track.

    begins, ends: decode time of the first sample, and of the end of the last one. disordered: a
    fragment begins no later than the one before it. gap: one may begin later than the one before
    it ends.
    """

    begins: int | None = None
    ends: int = 0
    samples: int = 0
    ticks: int = 0
    disordered: bool = False
    gap: bool = False
    last: Fragment | None = None

    def add(self, fragment: Fragment) -> None:
        """Compare a fragment with the one before it, and count it."""
        if self.last:
            self._compare(self.last, fragment)
        else:
            self.begins = fragment.start
        self.last = fragment
        self.ends = fragment.ticks + (self.ends if fragment.start is None else fragment.start)
        self.samples += fragment.samples
        self.ticks += fragment.ticks

    def _compare(self, last: Fragment, fragment: Fragment) -> None:
        if fragment.start is None or last.start is None:
            self.disordered |= 0 < fragment.sequence <= last.sequence
            self.gap = True  # no time says that there is none
        else:
            self.disordered |= fragment.start <= last.start and last.ticks > 0
            self.gap |= fragment.start - self.ends > last.average / 2


@dataclass
class Fragments:
    """All fragments of a file, in the sequence in which they lie there.

    defaults: ticks of a sample, by track (`trex`). skipped: a sequence number is missing.
    listed: how many fragments the index at the end of the file (`mfra`) lists. indexed: seconds
    that each track lasts by its segment indexes (`sidx`).
    """

    defaults: dict[int, int]
    tracks: dict[int, FragmentedTrack] = field(default_factory=dict)
    count: int = 0
    skipped: bool = False
    listed: int = 0
    indexed: dict[int, float] = field(default_factory=dict)
    _highest: int = 0
    _entries: int = 0

    def add(self, moof: bytes) -> None:
        """Count one fragment. moof: the payload of its box."""
        sequence = 0
        self.count += 1
        for kind, start, end in _children(moof, 0, len(moof)):
            if kind == b"mfhd":
                (sequence,) = _unpack(">I", moof, start + 4)
                self.skipped |= sequence > self._highest + 1
                self._highest = max(self._highest, sequence)
            elif kind == b"traf":
                fragment = self._parse_track(moof[start:end], sequence)
                self.tracks.setdefault(fragment.track, FragmentedTrack()).add(fragment)

    def add_random_access(self, mfra: bytes) -> None:
        """Count the fragments that the index at the end of the file lists."""
        offsets = set()
        for kind, start, end in _children(mfra, 0, len(mfra)):
            if kind == b"tfra":
                offsets |= _fragment_offsets(mfra[start:end])
        self.listed = max(self.listed, len(offsets))

    def add_segment_index(self, sidx: bytes) -> None:
        """Count the seconds that a segment index says its media last."""
        track, scale = _unpack(">II", sidx, 4)
        at = 20 if sidx[:1] == b"\0" else 28
        (count,) = _unpack(">H", sidx, at + 2)
        words = _words(sidx, at + 4, 3 * count)
        references = zip(words[::3], words[1::3], strict=True)
        ticks = sum(ticks for size, ticks in references if size < 2**31)  # else: another sidx
        self.indexed[track] = self.indexed.get(track, 0.0) + (ticks / scale if scale else 0.0)

    def _parse_track(self, traf: bytes, sequence: int) -> Fragment:
        fragment, default = Fragment(0, sequence), 0
        for kind, start, end in _children(traf, 0, len(traf)):
            if kind == b"tfhd":
                fragment.track, default = self._parse_header(traf[start:end])
            elif kind == b"tfdt":
                wide = traf[start : start + 1] == b"\1"
                (fragment.start,) = _unpack(">Q" if wide else ">I", traf, start + 4)
            elif kind == b"trun":
                samples, ticks = self._parse_run(traf[start:end], default)
                fragment.samples += samples
                fragment.ticks += ticks
        return fragment

    def _parse_header(self, tfhd: bytes) -> tuple[int, int]:
        """Return the track id and the ticks of a sample that does not say its own."""
        flags, track = _unpack(">II", tfhd, 0)
        at = 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2)
        own = _unpack(">I", tfhd, at)[0] if flags & 0x8 else None
        return track, self.defaults.get(track, 0) if own is None else own

    def _parse_run(self, trun: bytes, default: int) -> tuple[int, int]:
        """Return how many samples a run declares, and the sum of their ticks.

        Raises Unsupported when all runs have more entries than allowed.
        """
        flags, samples = _unpack(">II", trun, 0)
        if not flags & _DURATION:
            return samples, samples * default
        at = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
        width = sum(bool(flags & each) for each in _SAMPLE_FIELDS)
        self._entries += samples
        if self._entries > MAX_ENTRIES:
            raise Unsupported("This video is in too many pieces to be read.")
        return samples, sum(_words(trun, at, width * samples)[::width])


def check_order(fragments: Fragments, before: dict[int, int]) -> None:
    """Refuse fragments that are out of place, or do not follow each other.

    before: ticks of the samples that the index declares, by track. Raises Damaged, Truncated.
    """
    tracks = fragments.tracks
    if any(track.disordered for track in tracks.values()):
        raise Damaged(detail="a fragment begins no later than the one before it")
    late = (
        track.begins is None or track.begins - before.get(n, 0) > track.ticks / track.samples / 2
        for n, track in tracks.items()
        if track.samples
    )
    if fragments.skipped and (any(track.gap for track in tracks.values()) or any(late)):
        raise Truncated(detail="a fragment is missing before another")


def check_end(fragments: Fragments, scales: dict[int, int], declared_s: float) -> None:
    """Refuse fragments that end before the file says that they do.

    scales: ticks per second, by track. declared_s: seconds of the whole file (`mehd`), or 0.
    Raises Truncated.
    """
    if fragments.listed > fragments.count:
        raise Truncated(detail=f"{fragments.count} fragments of {fragments.listed}")
    timed = {n: t for n, t in fragments.tracks.items() if t.last and scales.get(n)}
    slack = {n: max(_MIN_SLACK_S, t.last.ticks / scales[n] / 2) for n, t in timed.items() if t.last}
    longest = max((t.ends / scales[n] + slack[n] for n, t in timed.items()), default=declared_s)
    if longest < declared_s:
        raise Truncated(detail=f"{longest:.3f} s of {declared_s:.3f} s")
    for number, track in timed.items():
        seconds, indexed = track.ticks / scales[number], fragments.indexed.get(number, 0.0)
        if seconds + slack[number] < indexed:
            raise Truncated(detail=f"track {number}: {seconds:.3f} s of {indexed:.3f} s")


def _fragment_offsets(tfra: bytes) -> set[bytes]:
    """Return where the fragments are that hold the random access points of one track."""
    (sizes, count) = _unpack(">II", tfra, 8)
    width = 8 if tfra[:1] == b"\1" else 4
    step = 2 * width + sum((sizes >> shift & 3) + 1 for shift in (0, 2, 4))
    count = min(count, (len(tfra) - 16) // step)
    return {tfra[at + width : at + 2 * width] for at in range(16, 16 + count * step, step)}


def _children(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the payload of each box in `data`; stop at a malformed one."""
    while end - start >= 8:
        length, kind = struct.unpack_from(">I4s", data, start)
        if length < 8 or start + length > end:
            return
        yield kind, start + 8, start + length
        start += length


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, ...]:
    """Read numbers at `at`; zeros follow the end of the data."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, data[at : at + size].ljust(size, b"\0"))


def _words(data: bytes, at: int, count: int) -> tuple[int, ...]:
    """Read `count` 32-bit numbers, or as many as there are."""
    count = max(0, min(count, (len(data) - at) // 4))
    return struct.unpack_from(f">{count}I", data, at)
