"""The schema of a brief, and our check beside the one of the package jsonschema."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Brief
from jobserver.brief.schema import SCHEMA, check, definition, expected, with_defaults
from jobserver.brief.stored import from_document
from tests.brief.samples import documents

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
KEYWORDS = {  # that check() knows, and those that say nothing about a value
    *("type", "enum", "const", "anyOf", "$ref", "properties", "required", "additionalProperties"),
    *("minProperties", "items", "minItems", "maxItems", "uniqueItems", "pattern"),
    *("minLength", "maxLength", "minimum", "maximum"),
    *("$schema", "$defs", "title", "description", "default", "examples"),
}


def accepts(document: Any) -> bool:
    try:
        check(document)
    except BriefError:
        return False
    return True


def reason(document: Any) -> str:
    with pytest.raises(BriefError) as refused:
        check(document)
    assert not VALIDATOR.is_valid(document)
    return str(refused.value)


def schemas(schema: Any) -> list[Any]:
    """Return a schema and all below it."""
    below = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", []),
        *([schema["items"]] if "items" in schema else []),
    ]
    return [schema, *(found for each in below for found in schemas(each))]


@settings(max_examples=300, deadline=None)
@given(documents())
def test_our_check_accepts_what_the_package_jsonschema_accepts(document: Any):
    assert accepts(document) == VALIDATOR.is_valid(document)


def test_the_schema_is_one_and_has_no_keyword_that_our_check_does_not_know():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {keyword for each in schemas(SCHEMA) for keyword in each} <= KEYWORDS
    objects = [each for each in schemas(SCHEMA) if "properties" in each]
    assert all(each["additionalProperties"] is False for each in objects)


def test_every_default_and_example_is_accepted_where_it_stands():
    for name, schema in SCHEMA["properties"].items():
        resolved = {**schema, "$defs": SCHEMA["$defs"]}
        validator = jsonschema.Draft202012Validator(resolved)
        for value in [*schema.get("examples", []), *(schema[k] for k in schema if k == "default")]:
            assert accepts({name: value}), name
            assert validator.is_valid(value), name


def test_defaults_are_those_of_the_model():
    document = with_defaults({}) | {"hooks": [None], "endings": [None], "music": [None]}
    assert from_document(document, looks=0, recipe="subtle") == Brief()


def test_every_key_says_what_it_is_for_and_every_simple_schema_what_it_takes():
    assert all("description" in each for each in SCHEMA["properties"].values())
    for schema in schemas(SCHEMA):
        assert expected(schema)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "brief must be an object"),
        (None, "brief must be an object"),
        ({"colour": 1}, "colour is unknown here; known are formats, fit, padColor, focus, size,"),
        ({"minimumDifference": 5}, "minimumDifference is unknown here"),
        ({"formats": []}, "formats must be a list of at least one"),
        ({"formats": "9:16"}, "formats must be a list of at least one"),
        (
            {"formats": ["1:1", "2:1"]},
            'formats[1] must be one of "source", "9:16", "4:5", "1:1", "16:9"',
        ),
        ({"formats": ["1:1", "9:16", "1:1"]}, "formats[2] repeats formats[0]"),
        ({"fit": "stretch"}, 'fit must be one of "blur", "pad", "crop"'),
        ({"padColor": "black"}, "padColor must be a color as #rrggbb"),
        ({"focus": [0.5]}, "focus must be a list of 2"),
        ({"focus": [0.5, 2]}, "focus[1] must be a number from 0 to 1"),
        ({"size": 1080.5}, "size must be a whole number from 360 to 2160"),
        ({"size": True}, "size must be a whole number from 360 to 2160"),
        ({"size": 359}, "size must be a whole number from 360 to 2160"),
        ({"speeds": [1, 1.0]}, "speeds[1] repeats speeds[0]"),
        ({"fps": 9}, "fps must be a number from 10 to 120 or null"),
        ({"lengths": ["half"]}, 'lengths[0] must be "full" or a number from 0.1 to 3600'),
        ({"mirror": [0]}, "mirror[0] must be true or false"),
        ({"mirror": True}, "mirror must be a list of at least one"),
        ({"hooks": [5]}, "hooks[0] must be a text of 1 to 255 characters or null"),
        ({"hooks": None}, "hooks must be a list of at least one"),
        ({"headlines": ["Hi"]}, "headlines[0] must be null or an object"),
        ({"headlines": [None, {}]}, "headlines[1].text is missing"),
        (
            {"headlines": [{"text": "a"}, {"text": ""}]},
            "headlines[1].text must be a text of 1 to 500 characters",
        ),
        (
            {"headlines": [{"text": "a", "colour": "#ffffff"}]},
            "headlines[0].colour is unknown here; known are text, position, from, to, color,",
        ),
        (
            {"headlines": [{"text": "a", "background": "red"}]},
            "headlines[0].background must be null or a color as #rrggbb or #rrggbbaa",
        ),
        ({"logo": {"corner": "top-left"}}, "logo.overlay is missing"),
        ({"logo": {"overlay": "a", "opacity": 2}}, "logo.opacity must be a number from 0 to 1"),
        (
            {"combine": 0},
            'combine must be one of "all", "one-at-a-time", "pairs" or a whole number',
        ),
        ({"combine": 1.5}, "combine must be one of"),
        ({"exclude": [{}]}, "exclude[0] needs one of video, hook,"),
        ({"exclude": {}}, "exclude must be a list"),
        ({"exclude": [{"hooks": "a"}]}, "exclude[0].hooks is unknown here; known are video, hook,"),
        ({"name": ""}, "name must be a text of 1 to 200 characters or null"),
        ({"size": 10**400}, "size must be a whole number from 360 to 2160"),
    ],
)
def test_a_sentence_names_the_key_and_what_it_takes(document: Any, sentence: str):
    assert reason(document).startswith(sentence)
    assert "\n" not in reason(document)


@pytest.mark.parametrize("key", ["size", "stillSeconds", "loudness", "combine"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_is_in_no_range(key: str, number: float):
    assert not accepts({key: number})


def test_whole_numbers_may_be_written_with_a_point():
    check(json.loads('{"size": 720.0, "combine": 3.0}'))


def test_a_part_of_the_schema_is_found_by_its_name():
    assert definition("headline")["required"] == ["text"]


AXES = ["formats", "hooks", "endings", "music", "lengths", "speeds", "mirror", "headlines"]


@pytest.mark.parametrize("key", SCHEMA["properties"])
def test_axes_are_lists_that_are_not_empty_and_all_else_is_one_value(key: str):
    schema = SCHEMA["properties"][key]
    if "$ref" in schema:
        schema = {**definition(schema["$ref"].rpartition("/")[2]), **schema}
    assert (key in AXES) == bool(schema.get("uniqueItems"))
    if key in AXES:
        assert reason({key: []}) == f"{key} must be a list of at least one"
        value = schema.get("default", [None])[0]
        assert reason({key: [value, value]}) == f"{key}[1] repeats {key}[0]"
