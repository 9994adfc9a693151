"""Read what an MP4 contains, or why it cannot be rendered.

What ffmpeg lists and decodes (demux.py) is checked against what the container itself declares
(boxes.py).
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from jobserver.render.boxes import MAX_EDITS, Index, Track
from jobserver.render.containers import not_accepted, read_container
from jobserver.render.demux import Demuxed, demux
from jobserver.render.errors import (
    Damaged,
    DamagedSound,
    MediaError,
    NoVideo,
    TooLarge,
    TooLong,
    Truncated,
    Unsupported,
)
from jobserver.render.media import Audio, Media, Packets, Video
from jobserver.render.settings import Settings

MAX_TRACKS = 32
MAX_SIDE = 16384  # pixels; the limit of libx264
MAX_LOST_SHARE = 0.05  # share of the frames that may be lost to damage
MAX_FRAME_RATE = 1000  # frames per second; more is taken for an attack
_MIN_LOST_SOUND_S = 0.1
_ONLY_DOLBY = (
    "This video is Dolby Vision without a base layer, which only few players can show."
    " Export it as HDR10, HLG or SDR."
)
_MAX_LOST_END_S = 0.25
_ROUNDING_S = 0.1  # by which the duration of the header may differ from that of the packets


def probe(path: Path, settings: Settings, cancel: threading.Event | None = None) -> Media:
    """Return what a file contains. `cancel` stops it early.

    Raises a MediaError whose sentence says why the file cannot be rendered (NotAnMP4, NoVideo,
    Truncated, Damaged, DamagedSound, Unsupported, TooLarge, TooLong), the errors of ffmpeg.run,
    and OSError.
    """
    path = path.absolute()
    index = read_container(path, settings.accept)
    check_declared(index, settings)
    return media_of(path, index, demux(path, index, settings, cancel), settings)


def media_of(path: Path, index: Index, found: Demuxed, settings: Settings) -> Media:
    """Check what ffmpeg found against the index; return what the file contains."""
    if found.video is None:
        raise _no_video_error(index, found, settings)
    if not found.video.base_layer:
        raise Unsupported(_ONLY_DOLBY)
    _check_size(found.video, settings)
    if found.completed.status or not found.shown.shown:
        raise Damaged(detail=found.completed.detail)
    tracks = [found.shown, *found.sounds]
    duration = _duration(index, tracks)
    _check_duration(duration, settings)
    _check_end(index, tracks)
    _check_complete(index, found.stored, found.video)
    _check_sound(index, found)
    usable = _usable_audio(found.audio)
    return Media(
        size=path.stat().st_size,
        duration=duration,
        video=found.video,
        packets=found.shown,
        audio=usable,
        sounds=tuple(found.sounds[found.audio.index(track)] for track in usable),
        demuxer=index.demuxer,
        peak=found.peak,
    )


def _duration(index: Index, tracks: Sequence[Packets]) -> float:
    """Return how many seconds a player shows: to the end of the last packet.

    The header counts where it agrees: packets of sound end up to a frame later than the sound.
    Fragments may start at any time; players do not wait for it.
    """
    played = [track for track in tracks if track.shown]
    start = min(track.first for track in played) if index.fragmented else 0.0
    seconds = max(track.end for track in played) - start
    declared = index.duration or 0.0
    return declared if abs(declared - seconds) <= _ROUNDING_S else seconds


def _usable_audio(audio: tuple[Audio, ...]) -> tuple[Audio, ...]:
    """Drop audio tracks that cannot be decoded; raise Unsupported when none remains.

    Phones record a second track in a new codec beside one that every player supports.
    """
    usable = tuple(track for track in audio if track.decodable)
    if audio and not usable:
        raise Unsupported("The sound of this video is in a format that is not supported.")
    return usable


def check_declared(index: Index, settings: Settings) -> None:
    """Refuse a file for what its index declares, before ffmpeg spends time on it."""
    if len(index.tracks) > MAX_TRACKS:
        raise Unsupported(f"This video has too many tracks (at most {MAX_TRACKS}).")
    if any(track.encrypted for track in index.tracks):
        raise Unsupported("This video is encrypted.")
    if (edits := sum(track.edits for track in index.tracks)) > MAX_EDITS:
        raise Unsupported(f"This video is made of too many cuts: {edits} (at most {MAX_EDITS}).")
    _check_duration(_declared_duration(index), settings)
    frames = max((t.samples or 0 for t in index.tracks if t.handler == "vide"), default=0)
    if frames > settings.max_duration * MAX_FRAME_RATE:
        raise TooLong("This video has too many frames.")
    if not index.fragmented and index.tracks and all(t.handler != "vide" for t in index.tracks):
        raise NoVideo


def _declared_duration(index: Index) -> float:
    """Return the duration that the edits have, or that both the header and a track declare.

    One of these two alone may be wrong. Edits may show the same part of a track many times.
    """
    stored = max((track.stored or 0.0 for track in index.tracks), default=0.0)
    edited = max((track.edited for track in index.tracks), default=0) / max(1, index.timescale)
    return max(edited, min(index.duration or 0.0, stored))


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


def _check_complete(index: Index, stored: Packets, video: Video) -> None:
    """Compare the packets that were read with what the container declares, as stored.

    A few missing samples, as cameras leave them, are accepted. A missing end is Truncated, many
    missing samples are Damaged.
    """
    track = _track(index, video.track)
    lost = (track.samples or 0) - stored.count
    if track.samples and lost <= 0:
        return
    slack = 2 * stored.duration / stored.count
    if track.stored and stored.duration < track.stored - slack:
        raise Truncated(detail=f"{stored.duration:.3f} of {track.stored:.3f} s")
    if lost > max(2, stored.count * MAX_LOST_SHARE):
        raise Damaged(detail=f"{stored.count} of {track.samples} samples")


def _check_end(index: Index, tracks: Sequence[Packets]) -> None:
    """Refuse a Matroska file that ends before it says so; subtitles may last longer than it.

    Its blocks are counted nowhere, as the samples of an MP4 are.
    """
    if index.demuxer != "matroska" or not all(track.handler for track in index.tracks):
        return
    end = max(track.end for track in tracks)
    slack = max(_MAX_LOST_END_S, 2 * tracks[0].duration / tracks[0].count)
    if end < (index.duration or 0.0) - slack:
        raise Truncated(detail=f"{end:.3f} s of {index.duration} s")


def _check_sound(index: Index, found: Demuxed) -> None:
    """Compare the sound that was decoded with the durations of its samples.

    ffmpeg drops what it cannot decode. A camera's hiccup loses a few frames of it, and a player
    goes on after them; a track that lost more is not copied into outputs as if it were whole.
    """
    for n, decoded in found.decoded.items():
        declared = _track(index, found.audio[n].track).timed or found.sounds[n].total
        lost = declared - decoded.total
        if lost > max(_MIN_LOST_SOUND_S, declared * MAX_LOST_SHARE) or not decoded.count:
            raise DamagedSound(detail=f"sound {n}: {decoded.total:.3f} s of {declared:.3f} s")


def _track(index: Index, number: int) -> Track:
    """Return the track with this id as the index declares it."""
    return next((track for track in index.tracks if track.id == number), Track())


def _no_video_error(index: Index, found: Demuxed, settings: Settings) -> MediaError:
    """Return the error for a file in which ffmpeg found no video track."""
    detail = found.completed.detail
    if any(track.handler == "vide" for track in index.tracks):
        return Damaged(detail=detail)
    if index.tracks:
        return NoVideo(detail=detail)
    return not_accepted(settings.accept, detail)
