"""Which combinations of the axes are made of one main clip.

all: every one. one-at-a-time: the first value of every axis, then each other value alone. pairs:
every pair of values at least once. A number: a balanced sample of that many. What `exclude` names
is left out of each.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from jobserver.brief import pairs, sample
from jobserver.brief.model import AXES, AxisValue, Brief, Exclusion, Headline
from jobserver.brief.space import Combination, Space

# The axes of one main clip, the slowest first: all outputs with one hook, then those with the next.
VARIED = AXES[1:]


def values_of(brief: Brief) -> dict[str, Sequence[Any]]:
    """Return the values of each axis of VARIED. A headline is a Headline or None."""
    return {
        "hook": brief.hooks,
        "ending": brief.endings,
        "format": brief.formats,
        "length": brief.lengths,
        "speed": brief.speeds,
        "mirror": brief.mirror,
        "headline": brief.headlines,
        "music": brief.music,
        "look": range(1, brief.looks + 1) or (None,),
    }


def exclusions_of(brief: Brief, video: str) -> tuple[Exclusion, ...]:
    """Return what is excluded of one main clip, without its name."""
    return tuple(
        Exclusion(tuple(pair for pair in each.values if pair[0] != "video"))
        for each in brief.exclude
        if dict(each.values).get("video", video) == video
    )


def space_of(brief: Brief, exclusions: Sequence[Exclusion]) -> Space | None:
    """Return all combinations of a main clip, but the excluded; None when all of them are."""
    if not all(each.values for each in exclusions):  # one named the main clip and nothing else
        return None
    values = values_of(brief)
    places = {axis: places_of(values[axis]) for axis in VARIED}
    indices = [
        {VARIED.index(axis): places[axis][value] for axis, value in each.values}
        for each in exclusions
    ]
    return Space([len(values[axis]) for axis in VARIED], indices)


def places_of(values: Sequence[Any]) -> dict[AxisValue, frozenset[int]]:
    """Return the places of each value of an axis, by what an output's axes say.

    One text may be that of several headlines.
    """
    places: dict[AxisValue, set[int]] = defaultdict(set)
    for index, value in enumerate(values):
        places[axis_value(value)].add(index)
    return {value: frozenset(its) for value, its in places.items()}


def axis_value(value: Any) -> Any:
    """Return how an output's axes say a value: a headline by its text."""
    return value.text if isinstance(value, Headline) else value


def fewest(brief: Brief, space: Space) -> int:
    """Return how many combinations combined() has; for `pairs` a number that it is not below.

    It needs no list of them to find out, so they may be many.
    """
    if isinstance(brief.combine, int):
        return min(brief.combine, space.count())
    if brief.combine == "all":
        return space.count()
    return pairs.fewest(space) if brief.combine == "pairs" else len(_one_at_a_time(space))


def combined(brief: Brief, space: Space) -> list[Combination]:
    """Return the combinations that are made, as indices into values_of()."""
    if isinstance(brief.combine, int):
        return sample.balanced(space, brief.combine)
    if brief.combine == "all":
        return list(space)
    return list(pairs.cover(space)) if brief.combine == "pairs" else _one_at_a_time(space)


def _one_at_a_time(space: Space) -> list[Combination]:
    first = (0,) * len(space.sizes)
    others = (
        (*first[:axis], value, *first[axis + 1 :])
        for axis, size in enumerate(space.sizes)
        for value in range(1, size)
    )
    return [each for each in (first, *others) if space.allows(each)]
