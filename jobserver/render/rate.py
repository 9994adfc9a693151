"""How many bits an output may take: some times as many as its source.

An encoder limited by a quality alone spends on the noise and the artefacts of a small source
what a clean picture would deserve; outputs had up to five times the bytes of their source. So
the quality is an upper bound (CRF) and the source's rate another (VBV): H.264 by a fast preset
needs more bits for the same picture than the source, HEVC, VP9 and AV1 pack it tighter still.

Source: https://trac.ffmpeg.org/wiki/Limiting%20the%20output%20bitrate
"""

from jobserver.render.media import Media
from jobserver.render.settings import Encoding

FACTOR = 1.5  # bytes of an output to bytes of its source
FACTOR_OF_BETTER_CODECS = 2.5
BETTER_CODECS = {"hevc", "vp9", "av1", "vvc"}
# The buffer lets one part of a video take the bits that another leaves. x264 ends with less than
# half of it spent beyond the rate (seen in all clips of benchmarks/quality.py).
_BUFFER_S = 1.0
_BUFFER_FRAMES = 2.0  # of the source's largest frame, however few bits a second it has
_SPENT_SHARE = 0.4
_SPENT_SHARE_OF_SHORT = 0.6  # of a video no longer than the buffer: it has no time to pay back
# Bits a pixel of a frame with text, a logo or a blurred background, beyond those of its picture.
_DRAWN_BITS, _DRAWN_KEYFRAME_BITS = 0.02, 0.3
_MIN_S = 0.02  # of a source whose only frame has no duration
_MARGIN = 0.985  # the rest is the container's
_MIN_BITS, _MAX_BITS = 1_000, 2_000_000_000  # x264 counts in whole kilobits, ffmpeg in 32 bits


def size_factors(encoding: Encoding) -> tuple[float, ...]:
    """Return how many times its source's bytes an output takes at most: of H.264, of newer codecs.

    Empty when rate options are set, or for an encoder other than libx264: each has options of its
    own, and those of `limit_options` were tried with x264 alone.
    """
    limited = encoding.encoder == "libx264" and not encoding.rate
    return (FACTOR, FACTOR_OF_BETTER_CODECS) if limited else ()


def limit_options(media: Media, encoding: Encoding, speed: float = 1.0) -> tuple[str, ...]:
    """Return the options that limit the rate of one output by its source, if any.

    speed: seconds of the source in one of the output.
    """
    if not size_factors(encoding):
        return ()
    seconds = max(media.packets.duration / speed, _MIN_S)
    return _limit(media, _video_bits(media, encoding, speed), seconds)


def shot_limit_options(
    media: Media, encoding: Encoding, *, speed: float, growth: float, drawn: int
) -> tuple[str, ...]:
    """Return the options that limit the rate of one shot by that of its source's picture, if any.

    speed: seconds of the source in one of the shot. growth: pixels of the shot's picture for one
    of the source's. drawn: pixels of a frame with text, a logo or a background, which the source
    had no bits for; else 0.
    """
    if not size_factors(encoding):
        return ()
    seconds = max(media.packets.duration / speed, _MIN_S)
    budget = 8 * _factor(media) * media.packets.bytes * growth + _DRAWN_BITS * drawn * media.frames
    return _limit(media, budget, seconds, _DRAWN_KEYFRAME_BITS * drawn)


def _limit(media: Media, budget: float, seconds: float, keyframe: float = 0) -> tuple[str, ...]:
    """Return the options for a picture of so many bits and seconds.

    keyframe: bits of one beyond those of the source's largest frame.
    """
    frame = 8 * _factor(media) * media.packets.largest + keyframe
    buffer = min(budget, max(budget / seconds * min(_BUFFER_S, seconds), _BUFFER_FRAMES * frame))
    spent = (_SPENT_SHARE if seconds > _BUFFER_S else _SPENT_SHARE_OF_SHORT) * buffer
    rate = (budget - spent) / seconds
    return (
        *("-maxrate", str(min(max(_MIN_BITS, int(rate)), _MAX_BITS))),
        *("-bufsize", str(min(max(_MIN_BITS, int(buffer)), _MAX_BITS))),
    )


def _factor(media: Media) -> float:
    return FACTOR_OF_BETTER_CODECS if media.video.codec in BETTER_CODECS else FACTOR


def _video_bits(media: Media, encoding: Encoding, speed: float) -> float:
    """Return how many bits the picture of an output may take: what its sound leaves.

    At least as many as the source's, however much of it is sound that was encoded again.
    """
    source = media.packets.bytes + sum(sound.bytes for sound in media.sounds)
    tracks = zip(media.audio, media.sounds, strict=True)
    sound = sum(
        packets.bytes
        if audio.copyable and speed == 1
        else packets.total / speed * encoding.audio_rate / 8
        for audio, packets in tracks
    )
    return 8 * max(media.packets.bytes, _MARGIN * _factor(media) * source - sound)
