"""Compare a rendered output with its source, so that nothing shortened is ever published."""

import threading
from collections.abc import Sequence
from pathlib import Path

from jobserver.render.errors import Damaged, MediaError
from jobserver.render.measure import Decoded, Fingerprint, decode, fault
from jobserver.render.media import Media
from jobserver.render.memory import decoders_within
from jobserver.render.probe import MAX_LOST_SHARE
from jobserver.render.settings import Settings

_AUDIO_TOLERANCE_S = 0.1
_MAX_PACKETS = 500_000  # of all outputs that one process lists: it keeps an index of them
_HEARD, _SILENT = -50.0, -70.0  # dBFS: the peak of a source at least, that of its output at most


def verify(
    outs: Sequence[Path],
    source: Media,
    settings: Settings,
    cancel: threading.Event | None = None,
    *,
    picture: Fingerprint | None = None,
    speeds: Sequence[float] | None = None,
) -> list[Decoded]:
    """Decode the outputs of one source and return what each is.

    picture: of the source, if it is known. speeds: seconds of the source in one of each output;
    without them 1. Raises Damaged when one cannot be decoded or lacks content of the source, and
    the errors of ffmpeg.run.
    """
    packets = source.packets.count + sum(sound.count for sound in source.sounds)
    pixels = source.video.width * source.video.height
    size = max(1, min(_MAX_PACKETS // packets, decoders_within(settings.memory, pixels)))
    found: list[Decoded] = []
    for start in range(0, len(outs), size):
        some = outs[start : start + size]
        try:
            found += decode(
                *(some, settings, cancel),
                sounds=len(source.audio),
                pixels=pixels * source.frames * len(some),
            )
        except MediaError as error:
            raise Damaged(detail=f"output: {error} {error.detail}") from error
    for made, speed in zip(found, speeds or [1.0] * len(outs), strict=True):
        missing = missing_content(source, made.media, speed) or _undecoded(source, made, speed)
        if missing:
            raise Damaged(detail=missing)
        if picture and (wrong := fault(picture, made.fingerprint, speed)):
            raise Damaged(detail=wrong)
    return found


def _undecoded(source: Media, made: Decoded, speed: float) -> str:
    """Describe what an output lists and a player cannot show; an empty string when nothing."""
    if made.frames != made.media.frames:
        return f"{made.frames} frames decoded of {made.media.frames}"
    for seconds, whole in zip(made.sounds, source.sounds, strict=True):
        total = whole.total / speed
        if seconds < total - max(_AUDIO_TOLERANCE_S, MAX_LOST_SHARE * total):
            return f"{seconds:.3f} s of sound decoded of {total:.3f} s"
    silent = made.loudness is not None and made.loudness.true_peak <= _SILENT
    if silent and source.peak is not None and source.peak >= _HEARD:
        return "the sound is silent"
    return ""


def missing_content(source: Media, out: Media, speed: float = 1.0) -> str:
    """Describe what an output lacks of its source; an empty string when nothing.

    speed: seconds of the source in one of the output.
    """
    if missing := missing_frames(source, out, speed):
        return missing
    if len(out.audio) != len(source.audio):
        return f"{len(out.audio)} sound tracks of {len(source.audio)}"
    for mine, whole in zip(out.sounds, source.sounds, strict=True):
        if mine.total < whole.total / speed - _AUDIO_TOLERANCE_S:
            return f"{mine.total:.3f} s of sound, not {whole.total / speed:.3f} s"
    return ""


def missing_frames(source: Media, out: Media, speed: float = 1.0) -> str:
    """Describe what the picture of an output lacks; an empty string when nothing.

    Single frames lost to recoverable decoding errors are accepted. More than two frames missing
    at the start or the end are not. speed: seconds of the source in one of the output.
    """
    duration = source.packets.duration / speed
    average = duration / source.frames
    lost = source.frames - out.frames
    tolerance = 2 * average if lost > 0 else max(source.packets.longest / speed, 2 * average)
    if out.packets.duration < duration - tolerance:
        return f"{out.packets.duration:.3f} s of {duration:.3f} s"
    if lost > _max_lost_frames(source):
        return f"{out.frames} frames of {source.frames}"
    return ""


def _max_lost_frames(source: Media) -> float:
    """Return how many frames may be lost.

    In field-coded H.264 (PAFF) each packet holds one field, so two packets give one frame.
    """
    field_coded = source.video.interlaced and source.video.codec == "h264"
    return source.frames / 2 + 1 if field_coded else max(2, source.frames * MAX_LOST_SHARE)
