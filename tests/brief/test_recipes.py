"""Recipes: named ones, and ranges of one's own."""

import json

import pytest

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Part, Sources
from jobserver.brief.parse import parse, parse_recipe
from jobserver.brief.recipes import RECIPES, UnknownRecipe, recipe_of, shown
from jobserver.brief.schema import definition
from jobserver.brief.stored import dump, load, to_document
from jobserver.render.recipe import MAX_VARIATIONS, parameters

ALONE = Sources(videos=(Part("clip.mp4"),))
INDEXES = range(1, MAX_VARIATIONS + 1)


def test_the_schema_has_every_name_and_room_for_every_range():
    assert definition("recipeName")["enum"] == list(RECIPES)
    known = definition("recipe")["properties"]
    assert known["like"]["enum"] == [*RECIPES, None]
    for spans in RECIPES.values():
        for name, span in spans.items():
            items = known[name]["items"]
            assert items["minimum"] <= span.low <= span.high <= items["maximum"]


def test_own_ranges_are_kept_whole_and_mean_the_same_again():
    text = parse_recipe('{"like": "bold", "zoom": [0.02, 0.04], "mirror": [false, true]}')
    whole = shown(text)
    assert set(whole) == {"like", "mirror", *RECIPES["bold"]}
    assert (whole["zoom"], whole["contrast"]) == ([0.02, 0.04], [1.0, 1.08])
    assert parse_recipe(json.dumps(whole)) == text
    for index in INDEXES:
        values = parameters(7, index, text).values
        assert 0.02 <= values["zoom"] <= 0.04
        assert values["mirror"] in (0, 1)
        bold = parameters(7, index, "bold").values
        same = set(bold) - {"zoom"}
        assert {name: values[name] for name in same} == {name: bold[name] for name in same}
    assert sum(parameters(7, n, text).values["mirror"] for n in INDEXES) == MAX_VARIATIONS / 2


def test_what_has_no_range_does_not_vary_and_a_crop_may_lie_anywhere():
    values = parameters(1, 1, parse_recipe('{"zoom": [0.1, 0.1]}')).values
    assert set(values) == {"zoom", "left", "top"}
    assert values["zoom"] == 0.1
    assert set(recipe_of(parse_recipe('{"speed": [1, 1.1]}')).spans) == {"speed"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "recipe needs one of like, zoom,"),
        ({"like": None}, "recipe needs a range, or like"),
        ({"like": "wild"}, 'recipe.like must be one of "subtle", "classic", "bold", null'),
        ({"zoom": 0.1}, "recipe.zoom must be a list of 2"),
        ({"zoom": [0.1]}, "recipe.zoom must be a list of 2"),
        ({"zoom": [0, 0.3]}, "recipe.zoom[1] must be a number from 0 to 0.25"),
        ({"zoom": [0.2, 0.1]}, "recipe.zoom must not end below its beginning"),
        ({"mirror": [True, True]}, "recipe.mirror[1] repeats recipe.mirror[0]"),
        ({"hue": [0, 1]}, "recipe.hue is unknown here; known are like, zoom,"),
    ],
)
def test_a_wrong_range_is_refused_with_its_path(given, sentence):
    for ask in (
        lambda: parse_recipe(json.dumps(given)),
        lambda: parse({"recipe": given}, ALONE, variations=2),
    ):
        with pytest.raises(BriefError) as refused:
            ask()
        assert str(refused.value).startswith(sentence)


def test_a_name_that_nothing_has_is_refused():
    for name in ("wild", "", " bold"):
        with pytest.raises(UnknownRecipe, match="subtle, classic, bold"):
            parse_recipe(name)


@pytest.mark.parametrize("given", [{"like": "bold", "speed": [1, 1]}, "bold", None])
def test_a_brief_names_its_recipe_or_has_that_of_the_upload(given):
    brief = parse({"recipe": given}, ALONE, variations=2, recipe="classic")
    assert load(dump(brief)) == brief
    if given is None or given == "bold":
        assert brief.recipe == (given or "classic")
    assert to_document(brief)["recipe"] == shown(brief.recipe)
    assert parse(to_document(brief), ALONE, variations=2) == brief
