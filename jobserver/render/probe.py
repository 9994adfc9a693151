"""Read what an MP4 contains, or why it cannot be rendered.

One ffmpeg process demuxes the whole file with `-c copy -f framecrc`: it prints one line per
packet, and decodes only what it needs to identify the streams. Size, codec and rotation of the
streams come from its banner (banner.py). Both are checked against what the container itself
declares (boxes.py).

Source: https://ffmpeg.org/ffmpeg-formats.html#framecrc
"""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.banner import parse_banner
from jobserver.render.boxes import Index, Track, read_index
from jobserver.render.command import probe_command
from jobserver.render.errors import (
    Damaged,
    MediaError,
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
MAX_SIDE = 16384  # pixels; the limit of libx264
MAX_LOST_SHARE = 0.05  # share of the frames that may be lost to damage
MAX_FRAME_RATE = 1000  # frames per second; more is taken for an attack
_WALL_S = 60.0
_MIN_READ_RATE = 20e6  # bytes per second of the slowest supported disk
_MEMORY = 1024 * MIB


def probe(path: Path, settings: Settings, cancel: threading.Event | None = None) -> Media:
    """Return what a file contains. `cancel` stops it early.

    Raises a MediaError whose sentence says why the file cannot be rendered (NotAnMP4, NoVideo,
    Truncated, Damaged, Unsupported, TooLarge, TooLong), the errors of ffmpeg.run, and OSError.
    """
    path = path.absolute()
    index = read_index(path)
    _check_declared(index, settings)
    report = _PacketReport()
    completed = _demux(path, report, settings, cancel)
    video, audio = parse_banner(completed.log)
    if video is None:
        raise _no_video_error(index, completed)
    _check_size(video, settings)
    if completed.status or not report.shown.shown:
        raise Damaged(detail=completed.detail)
    duration = max(index.duration or 0.0, report.shown.duration)
    _check_duration(duration, settings)
    _check_complete(index, report, video)
    usable = _usable_audio(audio)
    return Media(
        size=path.stat().st_size,
        duration=duration,
        video=video,
        packets=report.shown,
        audio=usable,
        audio_duration=report.audio[audio.index(usable[0])].duration if usable else 0.0,
    )


def _demux(
    path: Path, report: "_PacketReport", settings: Settings, cancel: threading.Event | None
) -> ffmpeg.Completed:
    """List every packet into `report`; the returned log contains the banner."""
    limits = ffmpeg.Limits(
        wall_s=_WALL_S + path.stat().st_size / _MIN_READ_RATE,
        stall_s=settings.stall_s,
        memory=_MEMORY,
        file_bytes=MIB,
    )
    access = ffmpeg.Access([path], sandbox=settings.sandbox)
    command = probe_command(path, settings)
    return ffmpeg.run(command, limits, access, report.add_line, cancel=cancel)


def _usable_audio(audio: tuple[Audio, ...]) -> tuple[Audio, ...]:
    """Drop audio tracks that cannot be copied or decoded; raise Unsupported when none remains.

    Phones record a second track in a new codec beside one that every player supports.
    """
    usable = tuple(track for track in audio if track.usable)
    if audio and not usable:
        raise Unsupported("The sound of this video is in a format that is not supported.")
    return usable


def _check_declared(index: Index, settings: Settings) -> None:
    """Refuse a file for what its index declares, before ffmpeg spends time on it."""
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
    """Format seconds as 0:05, 12:30 or 10:00:00."""
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


def _check_complete(index: Index, report: "_PacketReport", video: Video) -> None:
    """Compare the packets that were read with what the container declares, as stored.

    A few missing samples, as cameras leave them, are accepted. A missing end is Truncated, many
    missing samples are Damaged.
    """
    track = next((t for t in index.tracks if t.id == video.track), Track())
    stored = report.stored
    lost = (track.samples or 0) - stored.count
    if index.fragmented or (track.samples and lost <= 0):
        return
    slack = 2 * stored.duration / stored.count
    if track.stored and stored.duration < track.stored - slack:
        raise Truncated(detail=f"{stored.duration:.3f} of {track.stored:.3f} s")
    if lost > max(2, stored.count * MAX_LOST_SHARE):
        raise Damaged(detail=f"{stored.count} of {track.samples} samples")


def _no_video_error(index: Index, completed: ffmpeg.Completed) -> MediaError:
    """Return the error for a file in which ffmpeg found no video track."""
    if any(track.handler == "vide" for track in index.tracks):
        return Damaged(detail=completed.detail)
    if index.tracks:
        return NoVideo(detail=completed.detail)
    return NotAnMP4(detail=completed.detail)


@dataclass
class _PacketReport:
    """The framecrc output of `probe_command`, parsed line by line.

    stored: the video packets with the edit list ignored (output stream 0). shown: with it
    applied (1). audio: those of each audio track, counted from 0 (2 and up).
    """

    stored: Packets = field(default_factory=Packets)
    shown: Packets = field(default_factory=Packets)
    audio: dict[int, Packets] = field(default_factory=lambda: defaultdict(Packets))

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
        packets = self._packets_of(int(stream))
        packets.timebase, packets.timescale = int(over) / int(under), int(under)

    def _packet(self, fields: list[bytes]) -> None:
        # AV_PKT_FLAG_DISCARD (4) marks packets hidden by an edit list. framecrc prints the
        # flags only when they are not 1.
        flags = fields[6].strip() if len(fields) > 6 else b""
        hidden = flags.startswith(b"F=0x") and bool(int(flags[4:].split(b",")[0], 16) & 4)
        packets = self._packets_of(int(fields[0]))
        packets.add(pts=int(fields[2]), duration=int(fields[3]), hidden=hidden)

    def _packets_of(self, stream: int) -> Packets:
        return (self.stored, self.shown)[stream] if stream < 2 else self.audio[stream - 2]
