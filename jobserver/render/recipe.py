"""Compute the parameters of each variation from a seed. Pure: no clock, no file, no `random`.

A recipe is a table of named parameters and their ranges (brief/recipes.py). Values are drawn by
Latin hypercube sampling (McKay, Beckman, Conover, Technometrics 21, 1979): each range is divided
into `MAX_VARIATIONS` equal strata, the seed shuffles, separately for each parameter, which
variation gets which stratum, and the value lies in the middle half of its stratum. So any two
variations of one file differ in *every* parameter by at least half a stratum, for every seed.

Two of them may still be close in all of them. Where a recipe is `spread`, the places of the crops
are therefore chosen together: each is the one of a grid that lies farthest from all before it
(Gonzalez, Theoretical Computer Science 38, 1985), so the first n are far apart for every n.

A range around the neutral value of an adjustment excludes a margin around it, so every
variation differs from the source by at least that margin.

Numbers are derived with SHA-256 from the words that name them, and rounded, so they are the
same on every platform and Python version. `VERSION` is one of these words: increment it when a
named table changes. Parameters that are already recorded stay valid.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jobserver.brief.recipes import (
    DEFAULT_RECIPE,
    MAX_ZOOM,
    RECIPES,
    Recipe,
    Span,
    UnknownRecipe,
    recipe_of,
)

__all__ = [
    "DEFAULT_RECIPE",
    "MAX_VARIATIONS",
    "MAX_ZOOM",
    "RECIPES",
    "Parameters",
    "Span",
    "UnknownRecipe",
    "parameters",
]

VERSION = 1
MAX_VARIATIONS = 20
MAX_DRAWS = 5  # of one variation
_GRID = 20  # steps from one edge to the other
_NO_NAME = "own"


@dataclass(frozen=True)
class Parameters:
    """The parameters of one variation. index: 1..MAX_VARIATIONS. values: name -> number."""

    recipe: str
    index: int
    values: Mapping[str, float]


def parameters(seed: int, index: int, recipe: str = DEFAULT_RECIPE, *, draw: int = 1) -> Parameters:
    """Return the parameters of variation `index` (1..MAX_VARIATIONS) for this seed.

    recipe: its text, see brief/recipes.py. draw: 1..MAX_DRAWS; another one gives other values.
    They depend only on the arguments: not on how many variations are made, nor on which are
    rendered together. Raises UnknownRecipe, and ValueError when a number is out of range.
    """
    found = recipe_of(recipe)
    for name, number, most in (("index", index, MAX_VARIATIONS), ("draw", draw, MAX_DRAWS)):
        if not 1 <= number <= most:
            raise ValueError(f"{name} must be 1..{most}, not {number}")
    values = {name: _value(seed, found, name, index=index, draw=draw) for name in found.spans}
    return Parameters(recipe, index, values)


def _value(seed: int, recipe: Recipe, name: str, *, index: int, draw: int) -> float:
    """Return the value of one parameter."""
    span, table = recipe.spans[name], recipe.name or _NO_NAME
    if recipe.spread and name in ("left", "top"):
        place = _places(seed, table)[MAX_VARIATIONS * (draw - 1) + index - 1]
        return span.at(place[("left", "top").index(name)])
    share = _sample((seed, table, name, *(("draw", draw) if draw > 1 else ())), index)
    if name == "mirror":
        return span.low if share < 0.5 else span.high
    value = span.at(share)
    return float(round(value)) if name == "grain" else value


@lru_cache(maxsize=64)
def _places(seed: int, table: str) -> list[tuple[float, float]]:
    """Return places in the unit square, each as far as can be from all before it.

    The first is a corner, and each is moved a little, so that the seed decides which of several
    that are as far comes first.
    """
    cells = [
        (_moved(seed, table, x, y, axis=0), _moved(seed, table, x, y, axis=1))
        for x in range(_GRID + 1)
        for y in range(_GRID + 1)
    ]
    corners = (0, _GRID, len(cells) - 1 - _GRID, len(cells) - 1)
    place = cells[corners[int(4 * _draw(seed, table, "corner"))]]
    places, apart = [place], [math.inf] * len(cells)
    while len(places) < MAX_VARIATIONS * MAX_DRAWS:
        apart = [
            min(before, (x - place[0]) ** 2 + (y - place[1]) ** 2)
            for before, (x, y) in zip(apart, cells, strict=True)
        ]
        place = cells[apart.index(max(apart))]
        places.append(place)
    return places


def _moved(seed: int, table: str, x: int, y: int, *, axis: int) -> float:
    """Return one coordinate of a point of the grid, at most a quarter of a step beside it."""
    step = (x, y)[axis] + (_draw(seed, table, "grid", (x, y, axis)) - 0.5) / 2
    return min(1.0, max(0.0, step / _GRID))


def _sample(words: tuple[int | str, ...], index: int) -> float:
    """Return the share of the range, 0..1, for one variation. words: seed, recipe, parameter."""
    strata = sorted(range(MAX_VARIATIONS), key=lambda n: _draw(*words, "order", n))
    stratum = strata[index - 1]
    place = 0.25 + 0.5 * _draw(*words, "place", stratum)
    return (stratum + place) / MAX_VARIATIONS


def _draw(*words: int | str | tuple[int, ...]) -> float:
    """Return a number in [0, 1) that depends only on the words (53 bits: exact as a float)."""
    text = "/".join(str(word) for word in ("jobserver", VERSION, *words))
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
