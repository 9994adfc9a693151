"""Why a video does not fit a placement: its measured facts beside what a page asks for."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobserver.placements.data import PLACEMENTS, Placement, Range, ratio_of

# Sides are even numbers of pixels, so few frames have exactly the shape that they are of.
RATIO_TOLERANCE = 0.01
KNOWN_RATIOS = ("9:16", "2:3", "4:5", "1:1", "4:3", "16:9")


class Facts(NamedTuple):
    """What was measured of a video.

    width, height: pixels as displayed. duration: seconds. size: bytes. fps: frames a second, None
    where it was not measured: nothing is said of it then.
    """

    width: int
    height: int
    duration: float
    size: int
    fps: float | None = None


def fit(facts: Facts) -> dict[str, list[str]]:
    """Return for each placement, by its name, why the video does not fit; nothing: it fits."""
    return {placement.name: reasons(placement, facts) for placement in PLACEMENTS}


def reasons(placement: Placement, facts: Facts) -> list[str]:
    """Return what a page asks for and the video has not, a sentence each.

    Durations are compared to a tenth of a second: sound ends at a multiple of its own frames.
    """
    shape = _shape(facts)
    found = (
        _of_ratio(placement, facts, shape),
        _of_smallest(placement, facts, shape),
        _of_largest(placement, facts, shape),
        _outside(placement.seconds, round(facts.duration, 1), "It lasts {}", _seconds),
        _outside(placement.bytes, facts.size, "The file has {}", _bytes),
        _outside(placement.bitrate, _bitrate(facts), "It has {}", _bits),
        _of_rate(placement, facts),
    )
    return [reason for reason in found if reason]


def _of_ratio(placement: Placement, facts: Facts, shape: str) -> str | None:
    ratio, asked = facts.width / facts.height, placement.ratios
    if asked.between:
        narrowest, widest = map(ratio_of, asked.names)
        if narrowest * (1 - RATIO_TOLERANCE) <= ratio <= widest * (1 + RATIO_TOLERANCE):
            return None
        return f"The picture is {shape}; {asked.word}: {' to '.join(asked.names)}"
    if any(_is_of(ratio, name) for name in asked.names):
        return None
    return f"The picture is {shape}; {asked.word}: {', '.join(asked.names)}"


def _of_smallest(placement: Placement, facts: Facts, shape: str) -> str | None:
    size = _size_for(placement.smallest, facts, shape)
    if size is None or (facts.width >= size[0] and facts.height >= size[1]):
        return None
    return f"The picture has {_pixels(facts.width, facts.height)}; at least {_pixels(*size)}"


def _of_largest(placement: Placement, facts: Facts, shape: str) -> str | None:
    size = _size_for(placement.largest, facts, shape)
    if size is None or (facts.width <= size[0] and facts.height <= size[1]):
        return None
    return f"The picture has {_pixels(facts.width, facts.height)}; at most {_pixels(*size)}"


def _of_rate(placement: Placement, facts: Facts) -> str | None:
    if facts.fps is None or placement.fps is None or round(facts.fps, 2) <= placement.fps:
        return None
    return f"It has {facts.fps:.4g} frames a second; at most {placement.fps:.4g}"


def _outside(
    limits: Range, value: float, sentence: str, written: Callable[[float], str]
) -> str | None:
    if limits.least is not None and value < limits.least:
        return f"{sentence.format(written(value))}; at least {written(limits.least)}"
    if limits.most is not None and value > limits.most:
        return f"{sentence.format(written(value))}; at most {written(limits.most)}"
    return None


def _size_for(
    sizes: Mapping[str, tuple[int, int]], facts: Facts, shape: str
) -> tuple[int, int] | None:
    return sizes.get(shape) or sizes.get(_orientation(facts)) or sizes.get("any")


def _orientation(facts: Facts) -> str:
    if facts.width == facts.height:
        return "square"
    return "landscape" if facts.width > facts.height else "portrait"


def _shape(facts: Facts) -> str:
    """Return the name of the ratio that a picture has, or its number."""
    ratio = facts.width / facts.height
    named = (name for name in KNOWN_RATIOS if _is_of(ratio, name))
    return next(named, f"{ratio:.2f}:1")


def _is_of(ratio: float, name: str) -> bool:
    wished = ratio_of(name)
    return abs(ratio - wished) <= RATIO_TOLERANCE * wished


def _bitrate(facts: Facts) -> float:
    return facts.size * 8 / max(facts.duration, 0.001)


def _pixels(width: int, height: int) -> str:
    return f"{width} x {height} pixels"


def _seconds(value: float) -> str:
    return f"{value:.4g} s" if value < 120 else f"{value / 60:.4g} min"


def _bits(value: float) -> str:
    return f"{value / 1000:.4g} kb/s"


def _bytes(value: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value / 1000:.4g} kB"
