"""Sizes and rates of frames: what the shape, the size and the rate of an output come to."""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

from jobserver.brief.model import Format

MIN_FPS, MAX_FPS = Fraction(10), Fraction(120)
DEFAULT_FPS = Fraction(30)  # where no main clip has a steady rate
_NTSC = Fraction(1000, 1001)  # 29.97 means 30000/1001


def frame_size(shape: Format, short: int, displayed: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of a frame in pixels, both even.

    short: its short side. displayed: of the main clip, whose size the shape `source` has.
    """
    if shape == "source":
        return _even(displayed[0]), _even(displayed[1])
    across, down = map(int, shape.split(":"))
    short, ratio = _even(short), Fraction(max(across, down), min(across, down))
    long = 2 * round(short * ratio / 2)
    return (short, long) if across < down else (long, short)


def joined_fps(asked: float | None, rates: Iterable[Fraction | None]) -> Fraction:
    """Return the frames a second of all joined outputs: as asked for, else of most main clips.

    Of two rates that are as frequent the higher. rates: of the main clips, None: not steady.
    """
    if asked is not None:
        return exact_fps(asked)
    known = Counter(min(max(rate, MIN_FPS), MAX_FPS) for rate in rates if rate)
    return max(known, key=lambda rate: (known[rate], rate), default=DEFAULT_FPS)


def exact_fps(written: float) -> Fraction:
    """Return the rate that a decimal means: 29.97 is 30000/1001, 25 is 25."""
    for whole in (24, 30, 48, 60, 120):
        if abs(written - whole * _NTSC) < 0.006:  # 23.98 is written as well
            return whole * _NTSC
    return Fraction(str(written)).limit_denominator(1001)


def _even(side: int) -> int:
    return side + side % 2
