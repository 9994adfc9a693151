"""Compute the parameters of each variation from a seed. Pure: no clock, no file, no `random`.

A recipe is a table of named parameters and their ranges. Values are drawn by Latin hypercube
sampling (McKay, Beckman, Conover, Technometrics 21, 1979): each range is divided into
`MAX_VARIATIONS` equal strata, the seed shuffles, separately for each parameter, which variation
gets which stratum, and the value lies in the middle half of its stratum. So any two variations
of one file differ in *every* parameter by at least half a stratum, for every seed.

A range around the neutral value of an adjustment excludes a margin around it, so every
variation differs from the source by at least that margin.

Numbers are derived with SHA-256 from the words that name them, and rounded, so they are the
same on every platform and Python version. `VERSION` is one of these words: increment it when a
table below changes. Parameters that are already recorded stay valid.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 1
MAX_VARIATIONS = 20
MAX_ZOOM = 0.02
DEFAULT_RECIPE = "subtle"
_DIGITS = 6


class UnknownRecipe(ValueError):
    """No recipe has this name; str() lists the existing ones."""


@dataclass(frozen=True)
class Span:
    """The range of one parameter: low..high without (neutral - margin, neutral + margin).

    neutral: the value that leaves the picture unchanged; None when there is none (an offset).
    """

    low: float
    high: float
    neutral: float | None = None
    margin: float = 0.0

    def at(self, share: float) -> float:
        """Map a share of the range, 0..1, to a value; the excluded interval is skipped."""
        if self.neutral is None or self.neutral <= self.low:
            return round(self.low + share * (self.high - self.low), _DIGITS)
        value = self.low + share * (self.high - self.low - 2 * self.margin)
        if value > self.neutral - self.margin:
            value += 2 * self.margin
        return round(value, _DIGITS)


_COLOUR = {
    "brightness": Span(-0.05, 0.05, neutral=0.0, margin=0.01),
    "contrast": Span(0.95, 1.05, neutral=1.0, margin=0.01),
    "saturation": Span(0.95, 1.05, neutral=1.0, margin=0.01),
}

# zoom: share of width and height that is cropped. left, top: position of the crop, 0 = left or
# top edge of the picture, 1 = right or bottom edge. rotation: radians, clockwise. brightness
# (offset, range -1..1), contrast and saturation (factors): as in ffmpeg's eq filter.
# Source: https://ffmpeg.org/ffmpeg-filters.html#eq
RECIPES: Mapping[str, Mapping[str, Span]] = {
    "subtle": {
        "zoom": Span(0.005, MAX_ZOOM, neutral=0.0),
        "left": Span(0.0, 1.0),
        "top": Span(0.0, 1.0),
        **_COLOUR,
    },
    "classic": {"rotation": Span(0.001, 0.01, neutral=0.0), **_COLOUR},
}


@dataclass(frozen=True)
class Parameters:
    """The parameters of one variation. index: 1..MAX_VARIATIONS. values: name -> number."""

    recipe: str
    index: int
    values: Mapping[str, float]


def parameters(seed: int, index: int, recipe: str = DEFAULT_RECIPE) -> Parameters:
    """Return the parameters of variation `index` (1..MAX_VARIATIONS) for this seed.

    They depend only on the arguments: not on how many variations are made, nor on which are
    rendered together. Raises UnknownRecipe, and ValueError when the index is out of range.
    """
    if recipe not in RECIPES:
        raise UnknownRecipe(f"Unknown recipe (choose one of: {', '.join(RECIPES)})")
    if not 1 <= index <= MAX_VARIATIONS:
        raise ValueError(f"index must be 1..{MAX_VARIATIONS}, not {index}")
    values = {
        name: span.at(_sample((seed, recipe, name), index))
        for name, span in RECIPES[recipe].items()
    }
    return Parameters(recipe, index, values)


def _sample(words: tuple[int | str, ...], index: int) -> float:
    """Return the share of the range, 0..1, for one variation. words: seed, recipe, parameter."""
    strata = sorted(range(MAX_VARIATIONS), key=lambda n: _draw(*words, "order", n))
    stratum = strata[index - 1]
    place = 0.25 + 0.5 * _draw(*words, "place", stratum)
    return (stratum + place) / MAX_VARIATIONS


def _draw(*words: int | str) -> float:
    """Return a number in [0, 1) that depends only on the words (53 bits: exact as a float)."""
    text = "/".join(str(word) for word in ("jobserver", VERSION, *words))
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
