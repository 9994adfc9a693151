import hashlib
import itertools
import json
import subprocess
import sys

import pytest

from jobserver.render.recipe import (
    MAX_VARIATIONS,
    MIN_STEP,
    RECIPES,
    UnknownRecipe,
    distance,
    parameters,
)

SEEDS = [0, 1, 7, 2**63, -5]
INDEXES = range(1, MAX_VARIATIONS + 1)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_values_stay_in_their_range_and_away_from_the_source(recipe, seed):
    for index in INDEXES:
        values = parameters(seed, index, recipe).values
        assert values.keys() == RECIPES[recipe].keys()
        for name, span in RECIPES[recipe].items():
            assert span.low <= values[name] <= span.high
            if span.rest is not None:
                assert abs(values[name] - span.rest) >= max(span.away, span.low - span.rest) - 1e-9


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_any_two_variations_differ_in_every_parameter(recipe, seed):
    family = [parameters(seed, index, recipe) for index in INDEXES]
    for one, other in itertools.combinations(family, 2):
        for name, span in RECIPES[recipe].items():
            room = span.high - span.low - 2 * span.away
            assert abs(one.values[name] - other.values[name]) >= MIN_STEP * room - 2e-6
        assert distance(one, other) > 0.8 * MIN_STEP * len(RECIPES[recipe]) ** 0.5 - 1e-3


def test_brief_ranges_are_kept():
    subtle, classic = RECIPES["subtle"], RECIPES["classic"]
    assert (subtle["zoom"].low, subtle["zoom"].high) == (0.005, 0.02)
    assert (classic["rotation"].low, classic["rotation"].high) == (0.001, 0.01)
    for table in (subtle, classic):
        assert (table["brightness"].low, table["brightness"].high) == (-0.05, 0.05)
        assert (table["contrast"].low, table["contrast"].high) == (0.95, 1.05)
        assert (table["saturation"].low, table["saturation"].high) == (0.95, 1.05)


def test_parameters_are_what_they_were_when_version_1_was_published():
    every = [[parameters(s, i, r).values for i in INDEXES] for s in SEEDS for r in sorted(RECIPES)]
    text = json.dumps(every, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "2c9c31c10becde19"


def test_another_process_with_another_hash_seed_draws_the_same():
    script = "from jobserver.render import parameters; print(dict(parameters(7, 3).values))"
    runs = {
        subprocess.check_output([sys.executable, "-c", script], env={"PYTHONHASHSEED": n})
        for n in ("1", "2")
    }
    assert runs == {f"{dict(parameters(7, 3).values)}\n".encode()}


def test_seeds_and_recipes_draw_apart():
    assert parameters(1, 1) != parameters(2, 1)
    assert parameters(1, 1).values["contrast"] != parameters(1, 1, "classic").values["contrast"]


def test_an_unknown_recipe_is_answered_with_the_list():
    with pytest.raises(UnknownRecipe, match="subtle, classic"):
        parameters(1, 1, "wild")


@pytest.mark.parametrize("index", [0, 21, -1])
def test_an_index_outside_is_refused(index):
    with pytest.raises(ValueError, match=r"1\.\.20"):
        parameters(1, index)
