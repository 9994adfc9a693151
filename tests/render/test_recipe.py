import hashlib
import itertools
import json
import math
import subprocess
import sys

import pytest

from jobserver.brief.recipes import SPREAD
from jobserver.render.recipe import (
    MAX_DRAWS,
    MAX_VARIATIONS,
    RECIPES,
    UnknownRecipe,
    parameters,
)

SEEDS = [0, 1, 7, 2**63, -5]
INDEXES = range(1, MAX_VARIATIONS + 1)
# Latin hypercube: at least this share of a range, without its excluded interval, lies between
# two variations of one file.
MIN_STEP = 0.5 / MAX_VARIATIONS
FIRST = ("classic", "subtle")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_values_stay_in_their_range_and_away_from_the_source(recipe, seed):
    for index in INDEXES:
        values = parameters(seed, index, recipe).values
        assert values.keys() == RECIPES[recipe].keys()
        for name, span in RECIPES[recipe].items():
            assert span.low <= values[name] <= span.high
            if span.neutral is not None:
                margin = max(span.margin, span.low - span.neutral)
                assert abs(values[name] - span.neutral) >= margin - 1e-9


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_any_two_variations_differ_in_every_parameter(recipe, seed):
    spans = {
        name: span
        for name, span in RECIPES[recipe].items()
        if name != "grain" and not (recipe in SPREAD and name in ("left", "top"))
    }
    family = [parameters(seed, index, recipe).values for index in INDEXES]
    for one, other in itertools.combinations(family, 2):
        steps = {name: abs(one[name] - other[name]) for name in spans}
        for name, span in spans.items():
            usable = span.high - span.low - 2 * span.margin
            assert steps[name] >= MIN_STEP * usable - 2e-6
        shares = [steps[name] / (span.high - span.low) for name, span in spans.items()]
        assert math.hypot(*shares) > 0.8 * MIN_STEP * len(spans) ** 0.5 - 1e-3


def test_ranges_are_those_of_the_specification():
    subtle, classic = RECIPES["subtle"], RECIPES["classic"]
    assert (subtle["zoom"].low, subtle["zoom"].high) == (0.005, 0.02)
    assert (classic["rotation"].low, classic["rotation"].high) == (0.001, 0.01)
    for table in (subtle, classic):
        assert (table["brightness"].low, table["brightness"].high) == (-0.05, 0.05)
        assert (table["contrast"].low, table["contrast"].high) == (0.95, 1.05)
        assert (table["saturation"].low, table["saturation"].high) == (0.95, 1.05)


def test_parameters_are_what_they_were_when_version_1_was_published():
    """Two recipes were: what the others make is theirs alone."""
    every = [[parameters(s, i, r).values for i in INDEXES] for s in SEEDS for r in FIRST]
    text = json.dumps(every, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "2c9c31c10becde19"


def test_another_process_with_another_hash_seed_gives_the_same_values():
    script = "from jobserver.render import parameters; print(dict(parameters(7, 3).values))"
    runs = {
        subprocess.check_output([sys.executable, "-c", script], env={"PYTHONHASHSEED": n})
        for n in ("1", "2")
    }
    assert runs == {f"{dict(parameters(7, 3).values)}\n".encode()}


def test_another_seed_or_recipe_gives_other_values():
    assert parameters(1, 1) != parameters(2, 1)
    assert parameters(1, 1).values["contrast"] != parameters(1, 1, "classic").values["contrast"]


def test_an_unknown_recipe_is_refused_with_a_list_of_the_known_ones():
    with pytest.raises(UnknownRecipe, match="subtle, classic, bold"):
        parameters(1, 1, "wild")


@pytest.mark.parametrize("index", [0, 21, -1])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(ValueError, match=r"1\.\.20"):
        parameters(1, index)


@pytest.mark.parametrize("seed", SEEDS)
def test_crops_of_a_spread_recipe_are_far_apart_however_many_there_are(seed):
    """Of n points of a unit square the nearest two cannot be farther apart than this in full."""
    looks = [parameters(seed, index, "bold").values for index in INDEXES]
    places = [(look["left"], look["top"]) for look in looks]
    for count, apart in ((4, 0.95), (9, 0.45), (13, 0.3), (20, 0.2)):
        nearest = min(map(math.dist, *zip(*itertools.combinations(places[:count], 2), strict=True)))
        assert nearest > apart, count


@pytest.mark.parametrize("recipe", RECIPES)
def test_another_draw_gives_other_values_within_the_same_ranges(recipe):
    draws = [parameters(7, 3, recipe, draw=n).values for n in range(1, MAX_DRAWS + 1)]
    assert draws[0] == parameters(7, 3, recipe).values
    for name, span in RECIPES[recipe].items():
        assert all(span.low <= draw[name] <= span.high for draw in draws)
        assert name == "grain" or len({draw[name] for draw in draws}) == MAX_DRAWS
    assert draws[1] == parameters(7, 3, recipe, draw=2).values


@pytest.mark.parametrize("draw", [0, 6])
def test_a_draw_out_of_range_is_refused(draw):
    with pytest.raises(ValueError, match=r"draw must be 1\.\.5"):
        parameters(1, 1, draw=draw)
