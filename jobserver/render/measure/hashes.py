"""Perceptual hashes of clips, and how far two clips are apart: bits of 64, mean over time.

The hash of a frame (pHash) says which of its 64 lowest frequencies are above their median: it
survives scaling, encoding and small changes of colour, and not another picture. The hashes of a
clip are bytes, FRAME_SIZE a frame, RATE frames a second; two clips are compared as two integers.

Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), 3.2.1.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import cos, pi
from operator import mul
from typing import Literal, TypeAlias

from jobserver.render.grey import FRAME_BYTES, RATE, SIDE

FRAME_SIZE = 8  # bytes of its hash
MAX_SHIFT = 3 * RATE  # frames that two clips are shifted by at most: 3 s
OPENING = 3 * RATE  # frames
UNMATCHED = 32  # bits of a frame that the other clip has nothing for: as of two random pictures
VISIBLE, DIFFERENT = 5.0, 20.0  # bits from which, and above which, a label begins

Label: TypeAlias = Literal["cosmetic", "visible", "different"]

_ROUNDING_S = 1e-6
_LOW = 8  # frequencies a side
# Whole numbers: a plain frame has exactly nothing above frequency 0, on every machine.
_DCT = [
    [round(2**16 * cos(pi * k * (2 * n + 1) / (2 * SIDE))) for n in range(SIDE)]
    for k in range(_LOW)
]


def hash_frames(grey: bytes) -> bytes:
    """Return the hashes of frames of SIDE x SIDE grey pixels, a byte a pixel, row by row."""
    frames = range(0, len(grey), FRAME_BYTES)
    return b"".join(hash_frame(grey[at : at + FRAME_BYTES]) for at in frames)


def hash_frame(grey: bytes) -> bytes:
    """Return the hash of one frame; its first bit is that of the mean brightness."""
    rows = [grey[at : at + SIDE] for at in range(0, FRAME_BYTES, SIDE)]
    across = [[sum(map(mul, wave, row)) for row in rows] for wave in _DCT]
    low = [sum(map(mul, wave, column)) for wave in _DCT for column in across]
    ranked = sorted(low)
    middle = (ranked[31] + ranked[32]) / 2
    bits = 0
    for value in low:
        bits = bits << 1 | (value > middle)
    return bits.to_bytes(FRAME_SIZE)


def label(bits: float) -> Label:
    """Return what a distance means to people who see both clips."""
    if bits < VISIBLE:
        return "cosmetic"
    return "visible" if bits <= DIFFERENT else "different"


def distance(source: bytes, variant: bytes) -> float:
    """Return by how many bits a variant differs from its source: 0 to 64, mean over time.

    The smallest over shifts of up to 3 s. A start that is trimmed from the source is no new picture
    and not counted. What is put before the source counts UNMATCHED, and so does what one of them
    has beyond the other's end. Both are hashes of clips.
    """
    if not source or not variant:
        return float(UNMATCHED if source or variant else 0)
    trimmed = range(min(MAX_SHIFT + 1, len(source) // FRAME_SIZE))
    before = range(1, min(MAX_SHIFT + 1, len(variant) // FRAME_SIZE))
    return min(
        chain(
            (_mean(_from(source, shift), variant) for shift in trimmed),
            (_mean(source, _from(variant, shift), shift) for shift in before),
        )
    )


def opening(source: bytes, variant: bytes) -> float:
    """Return the distance of a variant's first 3 s, alone, from those of its source.

    As distance(): from the first 3 s of what is left of the source, if its start was trimmed.
    """
    length = OPENING * FRAME_SIZE
    first = variant[:length]
    if not source or not first:
        return float(UNMATCHED if source or first else 0)
    shifts = range(min(MAX_SHIFT + 1, len(source) // FRAME_SIZE))
    trimmed = (_mean(_from(source, shift)[:length], first) for shift in shifts)
    before = (
        _mean(source[: length - shift * FRAME_SIZE], _from(first, shift), shift)
        for shift in range(1, len(first) // FRAME_SIZE)
    )
    return min(chain(trimmed, before))


def _from(clip: bytes, frame: int) -> bytes:
    return clip[frame * FRAME_SIZE :]


def _mean(one: bytes, other: bytes, unmatched: int = 0) -> float:
    """Compare two clips from their first frames on. unmatched: frames that count beside them."""
    length = min(len(one), len(other))
    unmatched += abs(len(one) - len(other)) // FRAME_SIZE
    differing = int.from_bytes(one[:length]) ^ int.from_bytes(other[:length])
    bits = differing.bit_count() + UNMATCHED * unmatched
    return bits / (length // FRAME_SIZE + unmatched)


def between(one: bytes, other: bytes) -> float:
    """Return the distance of two siblings, neither of which is the source.

    The smallest over shifts of up to 3 s; all that one of them has nothing for counts UNMATCHED, at
    the start as well: a hook before a clip is no trimmed start of it.
    """
    return matrix([one, other])[0][1]


def matrix(clips: Sequence[bytes]) -> list[list[float]]:
    """Return the distances of siblings from each other, as between(); row by row."""
    siblings = [_Sibling(clip) for clip in clips]
    bits = [[0.0] * len(clips) for _ in clips]
    for row, one in enumerate(siblings):
        for column in range(row):
            bits[row][column] = bits[column][row] = _apart(one, siblings[column])
    return bits


def distances(clips: Sequence[bytes], others: Sequence[bytes]) -> list[list[float]]:
    """Return the distances of siblings from others, as between(); a row for each of the first."""
    prepared = [_Sibling(other) for other in others]
    return [[_apart(clip, other) for other in prepared] for clip in map(_Sibling, clips)]


def joined(parts: Sequence[tuple[bytes, float]]) -> bytes:
    """Return the hashes of clips one behind the other. parts: hashes and seconds that are taken."""
    found, start, frame = b"", 0.0, 0
    for hashes, seconds in parts:
        last = len(hashes) // FRAME_SIZE - 1
        start += seconds
        while frame / RATE < start - _ROUNDING_S:
            place = min(last, round(frame - (start - seconds) * RATE))
            found += hashes[place * FRAME_SIZE : (place + 1) * FRAME_SIZE]
            frame += 1
    return found


class _Sibling:
    """A clip made ready for many comparisons.

    later: its hashes from each shift on, as integers whose lowest 64 bits are the first frame.
    beyond: how many bits are set from each of its frames on.
    """

    __slots__ = ("beyond", "frames", "later")

    def __init__(self, clip: bytes) -> None:
        self.frames = len(clip) // FRAME_SIZE
        whole = int.from_bytes(clip, "little")
        self.later = [whole >> 64 * shift for shift in range(MAX_SHIFT + 1)]
        self.beyond = [(whole >> 64 * frame).bit_count() for frame in range(self.frames + 1)]


def _apart(one: _Sibling, other: _Sibling) -> float:
    """Return the distance of two siblings. A matrix of 500 calls it 125,000 times."""
    if not one.frames or not other.frames:
        return float(UNMATCHED if one.frames or other.frames else 0)
    ones, others = one.beyond, other.beyond
    best = 64.0
    for forth, back, mine, its, unmatched, total in _shifts(one.frames, other.frames):
        if unmatched < best * total:
            # What one has beyond the other's end is there with all its bits.
            bits = (one.later[forth] ^ other.later[back]).bit_count() - ones[mine] - others[its]
            best = min(best, (bits + unmatched) / total)
    return best


@lru_cache(maxsize=1024)
def _shifts(frames: int, others: int) -> Sequence[tuple[int, int, int, int, int, int]]:
    """Return how clips of so many frames are laid over each other, the likeliest way first.

    Each way: by how many frames the first clip and the other one are shifted, where in each of them
    what is compared ends, how many bits the rest counts, and how many frames that is in all.
    """
    found = []
    for forth, back in sorted(
        {*((shift, 0) for shift in range(MAX_SHIFT + 1)), *((0, n) for n in range(MAX_SHIFT + 1))},
        key=sum,
    ):
        length = min(frames - forth, others - back)
        if length > 0:
            unmatched = frames + others - 2 * length
            ends = (forth + length, back + length)
            found.append((forth, back, *ends, UNMATCHED * unmatched, length + unmatched))
    return found
