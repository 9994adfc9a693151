"""seed -> the parameters of each variation. Pure: no clock, no file, no `random`.

A recipe is a table of named parameters with their ranges. Each range is cut into
`MAX_VARIATIONS` equal strata; the seed shuffles which stratum goes to which variation,
one shuffle a parameter, and picks a place in the middle half of the stratum (a Latin
hypercube sample: McKay, Beckman, Conover, Technometrics 21, 1979). So any two variations
of one file differ in *every* parameter by at least half a stratum, whatever the seed; no
drawing again, no luck. Ranges of adjustments around "unchanged" have a hole there, so no
variation comes closer to the source than the hole in any of its adjustments.

Numbers come from SHA-256 over the words that name them, and are rounded, so they are the
same on every platform and Python version. `VERSION` is one of those words: whoever changes
a table below raises it, and old parameters stay what they were in old records.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 1
MAX_VARIATIONS = 20
MAX_ZOOM = 0.02
DEFAULT_RECIPE = "subtle"

# Two variations of one file differ in every parameter by at least this share of what its
# range has left beside the hole.
MIN_STEP = 0.5 / MAX_VARIATIONS
_DIGITS = 6


class UnknownRecipe(ValueError):
    """No recipe has that name; str() lists those that exist."""


@dataclass(frozen=True)
class Span:
    """Where one parameter may lie: low..high without the open hole of `away` around `rest`.

    rest: the value that leaves the picture as it is; None when there is none (an offset).
    """

    low: float
    high: float
    rest: float | None = None
    away: float = 0.0

    def at(self, share: float) -> float:
        """Map 0..1 to a value, walking over the hole; order and distances are kept."""
        if self.rest is None or self.rest <= self.low:
            return round(self.low + share * (self.high - self.low), _DIGITS)
        value = self.low + share * (self.high - self.low - 2 * self.away)
        beyond = value > self.rest - self.away
        return round(value + 2 * self.away if beyond else value, _DIGITS)


_COLOUR = {
    "brightness": Span(-0.05, 0.05, rest=0.0, away=0.01),
    "contrast": Span(0.95, 1.05, rest=1.0, away=0.01),
    "saturation": Span(0.95, 1.05, rest=1.0, away=0.01),
}

# zoom: share of width and height cut away. left, top: where in that margin the crop lies,
# 0 = flush left or top, 1 = flush right or bottom. rotation: radians, clockwise.
# brightness (added, of 1), contrast and saturation (factors): as in ffmpeg's eq filter.
RECIPES: Mapping[str, Mapping[str, Span]] = {
    "subtle": {
        "zoom": Span(0.005, MAX_ZOOM, rest=0.0),
        "left": Span(0.0, 1.0),
        "top": Span(0.0, 1.0),
        **_COLOUR,
    },
    "classic": {"rotation": Span(0.001, 0.01, rest=0.0), **_COLOUR},
}


@dataclass(frozen=True)
class Parameters:
    """What makes one variation; `values` is ready for JSON. index counts from 1."""

    recipe: str
    index: int
    values: Mapping[str, float]


def parameters(seed: int, index: int, recipe: str = DEFAULT_RECIPE) -> Parameters:
    """Say how variation `index` (1..20) of a file with this seed differs from the source.

    The answer depends on nothing else: not on how many variations were asked for, nor on
    which are rendered together. Raises UnknownRecipe, and ValueError for an index outside.
    """
    spans = table(recipe)
    if not 1 <= index <= MAX_VARIATIONS:
        raise ValueError(f"index must be 1..{MAX_VARIATIONS}, not {index}")
    return Parameters(
        recipe, index, {name: _value(seed, index, recipe, name, spans[name]) for name in spans}
    )


def table(recipe: str) -> Mapping[str, Span]:
    """Return the parameter ranges of a recipe; UnknownRecipe names those that exist."""
    try:
        return RECIPES[recipe]
    except KeyError:
        raise UnknownRecipe(f"Unknown recipe (choose one of: {', '.join(RECIPES)})") from None


def distance(one: Parameters, other: Parameters) -> float:
    """Euclidean distance of two variations of one recipe, each range taken as 1 wide."""
    spans = table(one.recipe)
    return math.dist(_shares(one, spans), _shares(other, spans))


def _shares(point: Parameters, spans: Mapping[str, Span]) -> list[float]:
    return [point.values[name] / (span.high - span.low) for name, span in spans.items()]


def _value(seed: int, index: int, recipe: str, name: str, span: Span) -> float:
    stratum = _shuffled(seed, recipe, name)[index - 1]
    place = 0.25 + 0.5 * _draw(seed, recipe, name, "place", stratum)
    return span.at((stratum + place) / MAX_VARIATIONS)


def _shuffled(seed: int, recipe: str, name: str) -> list[int]:
    return sorted(
        range(MAX_VARIATIONS), key=lambda stratum: _draw(seed, recipe, name, "order", stratum)
    )


def _draw(*words: int | str) -> float:
    """Return a number in [0, 1) that only these words decide (53 bits, so exact)."""
    text = "/".join(str(word) for word in ("jobserver", VERSION, *words))
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
