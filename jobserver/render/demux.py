"""List every packet of an MP4, and decode its sound, by one ffmpeg process.

`-c copy -f framecrc` prints one line per packet, and decodes only what it needs to identify the
streams, which it describes in its banner (banner.py). The sound is decoded by the same process,
since outputs get a copy of it: nothing else would notice that it is damaged. The picture is
decoded while it is rendered.

Source: https://ffmpeg.org/ffmpeg-formats.html#framecrc
"""

import re
import threading
import zlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.banner import parse_banner
from jobserver.render.boxes import Index
from jobserver.render.command import probe_command
from jobserver.render.errors import DamagedSound
from jobserver.render.media import Audio, Packets, Video
from jobserver.render.settings import MIB, Settings

_WALL_S = 60.0
_MIN_READ_RATE = 20e6  # bytes per second of the slowest supported disk
_MIN_DECODE_SPEED = 50.0  # seconds of sound per second; AAC has about 1000
_MEMORY = 1024 * MIB
_PEAK = re.compile(r"^\[Parsed_volumedetect_0 @ \w+\] max_volume: (-?[\d.]+|-inf) dB$", re.M)
_SHOWN = 1  # number of the output stream of a single file's picture with the edit list applied


@dataclass(frozen=True)
class Demuxed:
    """What ffmpeg found in a file.

    stored, shown: the video packets without and with the edit list. sounds: the packets of each
    audio track, as shown. decoded: what the decoder made of an audio track, by its place in
    `audio`; without an edit list. peak: dBFS of the first one that was decoded, if any was.
    """

    completed: ffmpeg.Completed
    video: Video | None
    audio: tuple[Audio, ...]
    stored: Packets
    shown: Packets
    sounds: Sequence[Packets]
    decoded: dict[int, Packets]
    peak: float | None = None


def demux(path: Path, index: Index, settings: Settings, cancel: threading.Event | None) -> Demuxed:
    """List all packets; decode all sound that can be.

    ffmpeg must know what to decode before it has said what there is, so the first run goes by
    the index; when that was wrong, it has ended at once or another one follows. Raises
    DamagedSound when ffmpeg fails because of the sound, the errors of `parse_banner` and of
    ffmpeg.run, and OSError.
    """
    seconds = [
        track.timed or track.stored or 0.0 for track in index.tracks if track.handler == "soun"
    ]

    def run(sounds: list[int]) -> Demuxed:
        decode_s = sum(seconds) / _MIN_DECODE_SPEED
        completed, report = _list(
            path, settings, cancel, sounds=sounds, decode_s=decode_s, demuxer=index.demuxer
        )
        found = demuxed(report, completed, sounds)
        gaps = (after - before for before, after in pairwise(sorted(report.times)))
        found.shown.longest = max(found.shown.longest, max(gaps, default=0) * found.shown.timebase)
        return found

    declared = list(range(len(seconds)))
    found = run(declared)
    decodable = [n for n, track in enumerate(found.audio) if track.decodable]
    if decodable != declared:
        found = run(decodable)
    if found.completed.status and decodable and not run([]).completed.status:
        raise DamagedSound(detail=found.completed.detail)
    return found


def _list(
    path: Path,
    settings: Settings,
    cancel: threading.Event | None,
    *,
    sounds: Sequence[int],
    decode_s: float,
    demuxer: str,
) -> tuple[ffmpeg.Completed, "PacketReport"]:
    """Run `probe_command`. decode_s: seconds that decoding the sounds may take."""
    wall_s = _WALL_S + path.stat().st_size / _MIN_READ_RATE + decode_s
    limits = ffmpeg.Limits(wall_s=wall_s, stall_s=settings.stall_s, memory=_MEMORY, file_bytes=MIB)
    # Matroska has times alone: what ffmpeg says of the durations of frames is a guess.
    report = PacketReport(timed=_SHOWN if demuxer == "matroska" else None)
    access = ffmpeg.Access([path], sandbox=settings.sandbox)
    command = probe_command(path, settings, sounds, demuxer=demuxer)
    return ffmpeg.run(command, limits, access, report.add_line, cancel=cancel), report


def demuxed(
    report: "PacketReport",
    completed: ffmpeg.Completed,
    sounds: Sequence[int] = (),
    *,
    source: int = 1,
    first: int = 0,
) -> Demuxed:
    """Give the output streams of one file their names: those of `probe_command`, or some alike.

    source: number of the input that is described. first: number of the file's first output stream.
    """
    video, audio = parse_banner(completed.log, source)
    decoded_at, shown_at = first + 2, first + 2 + len(sounds)
    return Demuxed(
        completed=completed,
        video=video,
        audio=audio,
        stored=report.streams[first],
        shown=report.streams[first + 1],
        sounds=[report.streams[shown_at + n] for n in range(len(audio))],
        decoded={n: report.streams[decoded_at + at] for at, n in enumerate(sounds)},
        peak=float(peak[1]) if sounds and (peak := _PEAK.search(completed.log)) else None,
    )


@dataclass
class PacketReport:
    """The framecrc output of `probe_command`, parsed line by line.

    streams: by their number. times: ticks at which each packet of `timed` is shown; that stream
    is None unless the times of its packets are wanted.
    """

    timed: int | None = None
    streams: dict[int, Packets] = field(default_factory=lambda: defaultdict(Packets))
    times: "array[int]" = field(default_factory=lambda: array("q"))

    def add_line(self, line: bytes) -> bool:
        """Parse one line of stdout; every line shows progress."""
        if line.startswith(b"#tb "):
            self._timebase(line[4:].decode("ascii", "replace"))
        elif line and not line.startswith(b"#"):
            self._packet(line.split(b",", 6))
        return True

    def _timebase(self, text: str) -> None:
        stream, _, ratio = text.partition(": ")
        over, _, under = ratio.partition("/")
        packets = self.streams[int(stream)]
        packets.timebase, packets.timescale = int(over) / int(under), int(under)

    def _packet(self, fields: list[bytes]) -> None:
        # AV_PKT_FLAG_DISCARD (4) marks packets hidden by an edit list. framecrc prints the
        # flags only when they are not 1.
        flags = fields[6].strip() if len(fields) > 6 else b""
        hidden = flags.startswith(b"F=0x") and bool(int(flags[4:].split(b",")[0], 16) & 4)
        stream, _, pts, duration, size = map(int, fields[:5])
        if stream == self.timed:
            self.times.append(pts)
        packets = self.streams[stream]
        packets.add(pts=pts, duration=duration, size=size, hidden=hidden)
        packets.checksum = zlib.crc32(fields[5], packets.checksum)
