"""Recipes: in which ranges the looks of a main clip vary. Pure.

A recipe has a name, or it is somebody's own: an object with a range for each parameter that shall
vary. Wherever a recipe is kept or passed on it is one text: its name, or that object as canonical
JSON with every range written out, so that it means the same when the named ones have changed.
render/recipe.py draws the values of each look from it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jobserver.brief.errors import BriefError

DEFAULT_RECIPE = "subtle"
MAX_ZOOM = 0.02  # of subtle
_DIGITS = 6
_OWN = "{"  # what the text of an own recipe begins with, and no name


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


@dataclass(frozen=True)
class Recipe:
    """The ranges of a recipe by parameter.

    name: one of RECIPES, of an own recipe the one that it is like, None: it is like none.
    spread: whether the crops of one clip's looks lie as far from each other as they can.
    """

    name: str | None
    spans: Mapping[str, Span]
    spread: bool


_COLOUR = {
    "brightness": Span(-0.05, 0.05, neutral=0.0, margin=0.01),
    "contrast": Span(0.95, 1.05, neutral=1.0, margin=0.01),
    "saturation": Span(0.95, 1.05, neutral=1.0, margin=0.01),
}

# zoom: share of width and height that is cropped. left, top: position of the crop, 0 = left or
# top edge of the picture, 1 = right or bottom edge. rotation: radians, clockwise. brightness
# (offset, range -1..1), contrast, gamma and saturation (factors): as in ffmpeg's eq filter. warmth:
# gamma of red, and of blue the other way. grain: strength of ffmpeg's noise filter, whole. speed:
# seconds of the source in one of the look. mirror: 1, or 0 for none.
# Source: https://ffmpeg.org/ffmpeg-filters.html#eq and #noise
RECIPES: Mapping[str, Mapping[str, Span]] = {
    "subtle": {
        "zoom": Span(0.005, MAX_ZOOM, neutral=0.0),
        "left": Span(0.0, 1.0),
        "top": Span(0.0, 1.0),
        **_COLOUR,
    },
    "classic": {"rotation": Span(0.001, 0.01, neutral=0.0), **_COLOUR},
    # Less contrast or a lighter gamma costs VMAF; brightness and colours cost none.
    "bold": {
        "zoom": Span(0.11, 0.12),
        "left": Span(0.0, 1.0),
        "top": Span(0.0, 1.0),
        "brightness": Span(-0.05, 0.05),
        "contrast": Span(1.0, 1.08),
        "gamma": Span(0.96, 1.02),
        "saturation": Span(0.85, 1.2),
        "warmth": Span(-0.06, 0.06),
        "grain": Span(1.0, 3.0),
        "speed": Span(0.97, 1.03),
    },
}
SPREAD = frozenset({"bold"})


@lru_cache(maxsize=256)
def recipe_of(text: str) -> Recipe:
    """Return the recipe that a name, or the text of an own one, means. Raises UnknownRecipe."""
    if text in RECIPES:
        return Recipe(text, RECIPES[text], spread=text in SPREAD)
    if not is_own(text):
        raise UnknownRecipe(f"Unknown recipe (choose one of: {', '.join(RECIPES)})")
    document = json.loads(text)
    like = document.pop("like")
    return Recipe(like, {name: _span(each) for name, each in document.items()}, spread=True)


def recipe_text(given: str | Mapping[str, Any], path: str = "recipe") -> str:
    """Return the text of a recipe. given: a name, or an object, that the schema has accepted.

    `like` names the recipe whose ranges hold where the object has none. A crop may lie anywhere
    unless it says where. Raises BriefError for a range that ends below its beginning, or for none.
    """
    if isinstance(given, str):
        return given
    document = given
    like = document.get("like")
    ranges = {name: _plain(span) for name, span in RECIPES.get(like or "", {}).items()}
    for name, span in document.items():
        if name == "like":
            continue
        if name != "mirror" and span[0] > span[1]:
            raise BriefError(f"{path}.{name}", "must not end below its beginning")
        ranges[name] = span
    if not ranges:
        raise BriefError(path, "needs a range, or like")
    if "zoom" in ranges:
        ranges = {"left": [0, 1], "top": [0, 1], **ranges}
    return json.dumps({"like": like, **dict(sorted(ranges.items()))}, separators=(",", ":"))


def is_own(text: str) -> bool:
    """Return whether a recipe is none of those that have names."""
    return text.startswith(_OWN)


def shown(text: str) -> str | dict[str, Any]:
    """Return a recipe as a client says it: its name, or an object with every range."""
    return dict(json.loads(text)) if is_own(text) else text


def _plain(span: Span) -> list[float]:
    return [span.low, span.high]


def _span(given: list[float]) -> Span:
    """Return a range; of `mirror` it is a list of booleans."""
    return Span(float(min(given)), float(max(given)))
