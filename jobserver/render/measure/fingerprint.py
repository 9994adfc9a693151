"""What is kept of a clip's picture: its hashes, and how bright and how lively it is.

So an output that is black or frozen where its source is not is noticed. Both are judged on frames
of 32 x 32 averages: grain that an encoder has removed is no life of the source.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from operator import sub

from jobserver.render.grey import FRAME_BYTES, RATE
from jobserver.render.measure.hashes import FRAME_SIZE, hash_frames

_LIGHT = 2  # bytes a frame
_PER_LEVEL = 8  # what a change is counted in: eighths of a level of 0..255
_BLACK, _LIT = 3, 32  # levels: the mean of an output at most, that of its source at least
_STILL, _MOVING = 1, 2 * _PER_LEVEL  # changes: of an output at most, of its source at least
_BLACK_FRAMES, _STILL_FRAMES = 2, 3  # in a row that are a fault: 1 s, 1.5 s


@dataclass(frozen=True)
class Fingerprint:
    """The picture of a clip, RATE frames a second.

    hashes: see hashes.py. light: two bytes a frame: its mean level, and by how much it differs from
    the frame before.
    """

    hashes: bytes
    light: bytes

    @classmethod
    def of_frames(cls, grey: bytes) -> "Fingerprint":
        """Return that of grey frames, see grey.py."""
        frames = [grey[at : at + FRAME_BYTES] for at in range(0, len(grey), FRAME_BYTES)]
        changes = [_change(one, other) for one, other in pairwise([*frames[:1], *frames])]
        means = [sum(frame) // FRAME_BYTES for frame in frames]
        light = b"".join(bytes(pair) for pair in zip(means, changes, strict=True))
        return cls(hash_frames(grey), light)

    @classmethod
    def from_bytes(cls, kept: bytes) -> "Fingerprint":
        """Return what to_bytes() was said of."""
        frames = len(kept) // (FRAME_SIZE + _LIGHT)
        return cls(kept[: frames * FRAME_SIZE], kept[frames * FRAME_SIZE :])

    def to_bytes(self) -> bytes:
        """Return both as they are kept."""
        return self.hashes + self.light

    @property
    def frames(self) -> int:
        return len(self.hashes) // FRAME_SIZE


def fault(source: Fingerprint, made: Fingerprint, speed: float = 1.0) -> str:
    """Say where an output is black or frozen and its source is not; an empty string if nowhere.

    made: of an output that shows all of its source. speed: seconds of the source in one of it.
    A flash may be seen in one of the two alone: what counts lasts longer, in the source as well.
    """
    means, changes = made.light[::_LIGHT], made.light[1::_LIGHT]
    at = [min(round(frame * speed), source.frames - 1) for frame in range(made.frames)]
    lit = [source.light[_LIGHT * place] >= _LIT for place in at]
    moving = [source.light[_LIGHT * place + 1] >= _MOVING for place in at]
    black = [mean <= _BLACK and shown for mean, shown in zip(means, lit, strict=True)]
    still = [change <= _STILL and moves for change, moves in zip(changes, moving, strict=True)]
    slowed = 1 / min(1.0, speed)
    if (begin := _run(black, min(ceil(slowed * _BLACK_FRAMES), made.frames))) is not None:
        return f"the picture is black from {begin / RATE} s on"
    if (begin := _run(still, ceil(slowed * _STILL_FRAMES))) is not None:
        return f"the picture is frozen from {(begin - 1) / RATE} s on"
    return ""


def _change(one: bytes, other: bytes) -> int:
    """Return by how much two frames differ on average, in eighths of a level, 255 at most."""
    total: int = sum(map(abs, map(sub, one, other)))
    return min(255, _PER_LEVEL * total // FRAME_BYTES)


def _run(flags: list[bool], length: int) -> int | None:
    """Return where the first `length` flags in a row are set begin; None if nowhere."""
    count = 0
    for place, is_set in enumerate(flags):
        count = count + 1 if is_set else 0
        if count and count >= length:
            return place - length + 1
    return None
