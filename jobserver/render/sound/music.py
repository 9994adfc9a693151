"""Music files: which of five kinds one is, and the beginning of it that outputs need.

The kind is read from the first bytes, and only its demuxer may open the file: ffmpeg's own guess
would let a file choose among hundreds. Only the first audio track counts; a cover is no video.

Sources: ID3v2.4.0, 3.1 (https://id3.org/id3v2.4.0-structure); ISO/IEC 11172-3, 2.4.2.3 (MP3); EBU
Tech 3306 (RF64); RFC 9639, 8 (FLAC); RFC 3533, 6 (Ogg); ISO/IEC 14496-12, 4.3 (`ftyp`).
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render import command, ffmpeg
from jobserver.render.boxes import MAX_EDITS, read_index
from jobserver.render.errors import MediaError, TooSlow
from jobserver.render.progress import Progress
from jobserver.render.settings import Settings
from jobserver.render.sound.command import music_command, music_probe_command
from jobserver.render.sound.files import RATE, SoundFile, stored_samples
from jobserver.render.sound.measure import limits, measure

MIN_S = 0.5  # shorter music would be a noise that is repeated
MAX_LISTED_S = 3600.0  # of music whose packets are listed; ten hours have a million and more
_ID3_SIZE = 10  # bytes of the header of a tag
_HEAD = 16  # bytes that name the kind


class NotMusic(MediaError):
    """The file is no music, or of a kind that is not accepted."""

    sentence = "This file is not music in a known format (M4A, MP3, WAV, FLAC or OGG)."


class NoSound(MediaError):
    """The file has no audio track."""

    sentence = "This music file has no sound in it."


class DamagedMusic(MediaError):
    """The file cannot be read, or not decoded."""

    sentence = "This music file is damaged and could not be read."


class TooShort(MediaError):
    """There is too little to be repeated."""

    sentence = f"This music is too short (at least {MIN_S:g} s)."


@dataclass(frozen=True)
class Music:
    """A music file. demuxer: of ffmpeg, the only one that may open it.

    duration: seconds, of longer music MAX_LISTED_S.
    """

    demuxer: str
    duration: float


def probe_music(path: Path, settings: Settings, cancel: threading.Event | None = None) -> Music:
    """Return what a music file is. Nothing of it is decoded.

    Raises a MediaError whose sentence says why it cannot be used (NotMusic, NoSound, TooShort,
    DamagedMusic), the errors of ffmpeg.run, and OSError.
    """
    path = path.absolute()
    demuxer = _demuxer(path)
    if demuxer == "mov":
        _check_index(path)
    progress = Progress(0.0, lambda _share: None)
    source = command.source(path, ("-t", str(MAX_LISTED_S)), demuxer=demuxer)
    arguments = music_probe_command(source, settings)
    access = ffmpeg.Access([path], sandbox=settings.sandbox)
    completed = _run(arguments, access, progress, settings, seconds=MAX_LISTED_S, cancel=cancel)
    if "matches no streams" in completed.log:
        raise NoSound(detail=completed.detail)
    if completed.status:
        raise DamagedMusic(detail=completed.detail)
    return Music(demuxer, _long_enough(progress.seconds))


def render_music(
    path: Path,
    music: Music,
    out: Path,
    settings: Settings,
    *,
    seconds: float,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
) -> SoundFile:
    """Write the first seconds of a music file, all of it when it is shorter, and measure it.

    seconds: the longest output that uses it. Nothing is left when this raises. Raises TooShort,
    DamagedMusic, and the errors of ffmpeg.run.
    """
    path, out = path.absolute(), out.absolute()
    source = command.source(path, ("-t", f"{seconds:.3f}"), demuxer=music.demuxer)
    access = ffmpeg.Access([path], [out], settings.sandbox)
    progress = Progress(min(seconds, music.duration), on_progress)
    try:
        arguments = music_command(source, seconds, out, settings)
        completed = _run(arguments, access, progress, settings, seconds=seconds, cancel=cancel)
        if completed.status:
            raise DamagedMusic(detail=completed.detail)
        _long_enough(stored_samples(out) / RATE)
        return measure(out, settings, cancel)
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _run(
    arguments: Sequence[str],
    access: ffmpeg.Access,
    progress: Progress,
    settings: Settings,
    *,
    seconds: float,
    cancel: threading.Event | None,
) -> ffmpeg.Completed:
    """Run ffmpeg on a music file. seconds: how much of it may have to be read."""
    most = limits(seconds, settings)
    try:
        return ffmpeg.run(arguments, most, access, progress.add_line, cancel=cancel)
    except TooSlow as error:
        raise DamagedMusic("This music took too long to read.", error.detail) from error


def _demuxer(path: Path) -> str:
    """Return the demuxer for a file by its first bytes. Raises NotMusic."""
    with path.open("rb") as file:
        start = file.read(_HEAD)
        if start.startswith(b"ID3") and len(start) >= _ID3_SIZE:
            file.seek(_ID3_SIZE + _id3_payload(start))
            return "flac" if file.read(4) == b"fLaC" else "mp3"
    if start[4:8] == b"ftyp":
        return "mov"
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return "wav"
    if start.startswith(b"fLaC"):
        return "flac"
    if start.startswith(b"OggS"):
        return "ogg"
    # Eleven bits of sync, any version, layer III. AAC has the same sync and layer 0.
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2:
        return "mp3"
    raise NotMusic(detail=f"begins with {start!r}")


def _id3_payload(header: bytes) -> int:
    """Return the bytes of a tag behind its header: four times seven bits."""
    return sum(
        (byte & 0x7F) << shift for byte, shift in zip(header[6:10], (21, 14, 7, 0), strict=True)
    )


def _check_index(path: Path) -> None:
    """Refuse an M4A whose index is broken, or made to cost ffmpeg much time."""
    try:
        index = read_index(path)
    except MediaError as error:
        raise DamagedMusic(detail=f"{error} {error.detail}") from error
    if any(track.encrypted for track in index.tracks):
        raise NotMusic("This music is encrypted.")
    if sum(track.edits for track in index.tracks) > MAX_EDITS:
        raise NotMusic("This music is made of too many cuts.")


def _long_enough(seconds: float) -> float:
    if seconds < MIN_S:
        raise TooShort(detail=f"{seconds:.3f} s")
    return seconds
