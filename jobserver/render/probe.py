"""What is in this MP4, or why it is not one that can be rendered.

ffmpeg reads the file in its own process: `-c copy -f framecrc` demuxes all of it, decodes
nothing but what it needs to know the streams, and prints one line a packet. What it says
of the streams (size, codec, rotation) stands in its banner, one line a stream; pip's
ffmpeg comes without ffprobe. The container's own promise comes from boxes.py.

Source: https://ffmpeg.org/ffmpeg-formats.html#framecrc
"""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.boxes import Index, Track, read_index
from jobserver.render.command import probe_command
from jobserver.render.errors import (
    Damaged,
    NotAnMP4,
    NoVideo,
    TooLarge,
    TooLong,
    Truncated,
    Unsupported,
)
from jobserver.render.media import Audio, Media, Packets, Video
from jobserver.render.settings import MIB, Settings

MAX_TRACKS = 32
MAX_SIDE = 16384  # libx264 takes no longer one
LOST_SHARE = 0.05  # frames a damaged stretch may cost while the rest still renders
MAX_FRAME_RATE = 1000  # more frames than this a second is an attack, not a camera

_STREAM = re.compile(r"^  Stream #1:(\d+)\[0x([0-9a-f]+)\](?:\(\S*\))?: (Video|Audio): (\w+)(.*)$")
_SIZE = re.compile(r", (\d+)x(\d+)(?: \[SAR (\d+):(\d+) DAR \d+:\d+\])?(?:,|$)")
_SHAPE = re.compile(r", SAR (\d+):(\d+) DAR ")  # the container's, where it says another
_SAMPLES = re.compile(r", (?:u8|s16|s32|s64|flt|dbl)p?\b")  # a decoder names their format
_RGB = re.compile(r", (?:pal8|gbra?p|(?:[a0]|x2)?(?:rgb|bgr))")
_FIELDS = re.compile(r"\b(?:top|bottom) (?:coded )?first\b")
_ROTATION = re.compile(r"^      Display Matrix: rotation of (-?[\d.]+) degrees$", re.I)
_PROBE_WALL_S, _READ_RATE = 60.0, 20e6  # the slowest disk that is waited for, bytes a second
_PROBE_MEMORY = 1024 * MIB


def probe(path: Path, settings: Settings, cancel: threading.Event | None = None) -> Media:
    """Say what a file is.

    Raises a MediaError whose sentence says why it cannot be rendered: NotAnMP4, NoVideo,
    Truncated, Damaged, Unsupported, TooLarge, TooLong; and whatever ffmpeg.run raises.
    """
    path = path.absolute()
    index = read_index(path)
    _check_promise(index, settings)
    report = _Report()
    ending = _demux(path, report, settings, cancel)
    video, audio = _streams(ending.log)
    if video is None:
        raise _without_video(index, ending)
    _check_size(video, settings)
    if ending.status or not report.shown.shown:
        raise Damaged(detail=ending.last_words)
    duration = max(index.duration or 0.0, report.shown.duration)
    _check_duration(duration, settings)
    _check_whole(index, report, video)
    size = path.stat().st_size
    return Media(size, duration, video, report.shown, *_usable(audio, report))


def _demux(
    path: Path, report: "_Report", settings: Settings, cancel: threading.Event | None
) -> ffmpeg.Ending:
    """Have every packet listed; return how that ended, with the banner in its log."""
    wall_s = _PROBE_WALL_S + path.stat().st_size / _READ_RATE
    return ffmpeg.run(
        probe_command(path, settings),
        ffmpeg.Limits(wall_s, settings.stall_s, _PROBE_MEMORY, file_bytes=MIB),
        ffmpeg.Access([path], sandbox=settings.sandbox),
        report.add_line,
        cancel,
    )


def _usable(audio: tuple[Audio, ...], report: "_Report") -> tuple[tuple[Audio, ...], float]:
    """Leave out sound that nothing can decode; return the rest and the seconds of its first.

    Phones put a second track, of a new codec, beside one that everybody plays.
    """
    usable = tuple(track for track in audio if track.usable)
    if audio and not usable:
        raise Unsupported("The sound of this video is in a format that is not supported.")
    return usable, report.sounds[audio.index(usable[0])].duration if usable else 0.0


def _check_promise(index: Index, settings: Settings) -> None:
    """Refuse by the index alone what would be refused anyway, before ffmpeg reads it."""
    if len(index.tracks) > MAX_TRACKS:
        raise Unsupported(f"This video has too many tracks (at most {MAX_TRACKS}).")
    if any(track.encrypted for track in index.tracks):
        raise Unsupported("This video is encrypted.")
    durations = [index.duration, *(track.shown for track in index.tracks)]
    _check_duration(max((d for d in durations if d), default=0.0), settings)
    frames = max((t.samples or 0 for t in index.tracks if t.handler == "vide"), default=0)
    if frames > settings.max_duration * MAX_FRAME_RATE:
        raise TooLong("This video has too many frames.")
    if not index.fragmented and index.tracks and all(t.handler != "vide" for t in index.tracks):
        raise NoVideo


def _check_duration(seconds: float, settings: Settings) -> None:
    if seconds > settings.max_duration:
        raise TooLong(
            f"This video is too long: {_clock(seconds)} (at most {_clock(settings.max_duration)})."
        )


def _clock(seconds: float) -> str:
    """Write a duration as people say it: 0:05, 12:30, 10:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _check_size(video: Video, settings: Settings) -> None:
    width, height = video.width, video.height
    if width * height > settings.max_pixels:
        raise TooLarge(
            f"The picture of this video is too large: {width} x {height} pixels"
            f" (at most {settings.max_pixels / 1e6:.1f} million)."
        )
    if max(width, height) > MAX_SIDE:
        raise TooLarge(
            f"The picture of this video is too large: {width} x {height} pixels"
            f" (at most {MAX_SIDE} a side)."
        )


def _check_whole(index: Index, report: "_Report", video: Video) -> None:
    """Compare what could be read with what the container promised, edit lists aside.

    A sample missing here and there is a camera's hiccup and renders; a missing end is not.
    """
    track = next((t for t in index.tracks if t.id == video.track), Track())
    stored = report.stored
    lost = (track.samples or 0) - stored.count
    if index.fragmented or (track.samples and lost <= 0):
        return
    slack = 2 * stored.duration / stored.count
    if track.stored and stored.duration < track.stored - slack:
        raise Truncated(detail=f"{stored.duration:.3f} of {track.stored:.3f} s")
    if lost > max(2, stored.count * LOST_SHARE):
        raise Damaged(detail=f"{stored.count} of {track.samples} samples")


def _without_video(index: Index, ending: ffmpeg.Ending) -> Exception:
    """Name the reason why ffmpeg listed no picture track."""
    if any(track.handler == "vide" for track in index.tracks):
        return Damaged(detail=ending.last_words)
    return NoVideo(detail=ending.last_words) if index.tracks else NotAnMP4(detail=ending.last_words)


@dataclass
class _Stream:
    """One line of the banner. rest: what follows the codec; rotation: degrees, clockwise."""

    number: int
    track: int
    kind: str
    codec: str
    rest: str
    rotation: float | None = None


def _streams(log: str) -> tuple[Video | None, tuple[Audio, ...]]:
    """Read the banner: the first picture track that is none of a cover, all sound tracks."""
    streams = _banner(log)
    pictures = (s for s in streams if s.kind == "Video" and "(attached pic)" not in s.rest)
    video = next(map(_video, pictures), None)
    sounds = (s for s in streams if s.kind == "Audio")
    return video, tuple(
        Audio(s.number, s.track, s.codec, bool(_SAMPLES.search(s.rest))) for s in sounds
    )


def _banner(log: str) -> list[_Stream]:
    """Return the streams in the order of their numbers, which is not that of their lines."""
    streams: dict[int, _Stream] = {}
    stream: _Stream | None = None
    for line in _outdented(log):
        if found := _STREAM.match(line):
            number, track, kind, codec, rest = found.groups()
            stream = _Stream(int(number), int(track, 16), kind, codec, rest)
            streams.setdefault(stream.number, stream)
        elif line.startswith("  Stream #"):
            stream = None
        elif stream and stream.rotation is None and (found := _ROTATION.match(line)):
            stream.rotation = -float(found[1]) % 360
        elif line.startswith("Stream mapping:"):
            break
    return [streams[number] for number in sorted(streams)]


def _outdented(log: str) -> Iterator[str]:
    """Yield the lines; what is in a stream group (a timecode's, say) stands as if it were not.

    A file's own text cannot pass for a stream: ffmpeg indents it deeper, also after a
    newline in it. Hence not splitlines(), which sees the end of a line where ffmpeg sees
    none, and not four spaces everywhere, where the text of the whole file begins.
    """
    grouped = False
    for line in log.split("\n"):
        if re.match(r"  \S", line):
            grouped = line.startswith("  Stream group #1:")
        yield line[2:] if grouped and line.startswith("    ") else line


def _video(stream: _Stream) -> Video:
    size = _SIZE.search(stream.rest)
    if stream.codec in ("none", "unknown"):
        raise Unsupported(detail=stream.rest)
    if not size or not int(size[1]) or not int(size[2]):
        raise Damaged(detail=stream.rest)
    shape = _SHAPE.search(stream.rest)
    across, down = shape.groups() if shape else (size[3], size[4])
    return Video(
        stream.number,
        stream.track,
        stream.codec,
        int(size[1]),
        int(size[2]),
        (int(across or 0) or 1, int(down or 0) or 1),
        stream.rotation or 0.0,
        _interlaced(stream),
        bool(_RGB.search(stream.rest)),
    )


def _interlaced(stream: _Stream) -> bool:
    """Say if the frames may be of two fields; of H.264 that opens with a lone one is not said."""
    untold = stream.codec == "h264" and "progressive" not in stream.rest
    return untold or bool(_FIELDS.search(stream.rest))


@dataclass
class _Report:
    """framecrc, line by line: stream 0 with edit lists ignored, 1 as shown, from 2 the sounds."""

    stored: Packets = field(default_factory=Packets)
    shown: Packets = field(default_factory=Packets)
    sounds: dict[int, Packets] = field(default_factory=lambda: defaultdict(Packets))

    def add_line(self, line: bytes) -> bool:
        """Take one line of stdout; each is progress."""
        if line.startswith(b"#tb "):
            self._timebase(line[4:].decode("ascii", "replace"))
        elif line and not line.startswith(b"#"):
            self._packet(line.split(b",", 6))
        return True

    def _timebase(self, text: str) -> None:
        stream, _, ratio = text.partition(": ")
        over, _, under = ratio.partition("/")
        packets = self._of(int(stream))
        packets.timebase, packets.timescale = int(over) / int(under), int(under)

    def _packet(self, fields: list[bytes]) -> None:
        # AV_PKT_FLAG_DISCARD (4) marks what an edit list hides; flags stand only if not 1.
        flags = fields[6].strip() if len(fields) > 6 else b""
        hidden = flags.startswith(b"F=0x") and bool(int(flags[4:].split(b",")[0], 16) & 4)
        self._of(int(fields[0])).add(int(fields[2]), int(fields[3]), hidden)

    def _of(self, stream: int) -> Packets:
        return (self.stored, self.shown)[stream] if stream < 2 else self.sounds[stream - 2]
