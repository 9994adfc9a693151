"""docs/brief.md says what the schema says."""

import json
import re
from typing import Any

import pytest

from jobserver.brief.model import Part, Sources
from jobserver.brief.parse import parse
from jobserver.brief.schema import SCHEMA, definition
from tests.support import PROJECT

TEXT = (PROJECT / "docs" / "brief.md").read_text()
ROW = re.compile(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]*) \| ([^|]*)\|$", re.M)
ROWS = {
    (section, key): (values, default.strip())
    for section, text in zip(
        ("brief", "headline", "brief", "logo", "recipe"),
        re.split(r"^## A|^### A|^## S", TEXT, flags=re.M)[1:6],
        strict=True,
    )
    for keys, values, default, _ in ROW.findall(text)
    for key in re.findall(r"`(\w+)`", keys)
}
SECTIONS = {"brief": SCHEMA} | {name: definition(name) for name in ("headline", "logo", "recipe")}


def resolved(schema: Any) -> Any:
    """Return a schema with what it refers to, of a list with its items'."""
    if "$ref" in schema:
        schema = {**definition(schema["$ref"].rpartition("/")[2]), **schema}
    return {**resolved(schema["items"]), **schema} if "items" in schema else schema


def alternatives(schema: Any) -> list[Any]:
    schema = resolved(schema)
    return [found for each in schema.get("anyOf", []) for found in alternatives(each)] or [schema]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_its_row_with_its_default_range_and_words(section: str):
    properties = SECTIONS[section]["properties"]
    assert [key for place, key in ROWS if place == section] != []
    assert {key for place, key in ROWS if place == section} == set(properties)
    for key, schema in properties.items():
        values, default = ROWS[section, key]
        if "default" in schema:
            assert json.loads(default.strip("`")) == schema["default"], key
        for each in alternatives(schema):
            for word in each.get("enum", []):
                assert f"`{json.dumps(word)}`" in values, key
            for bound in ("minimum", "maximum"):
                if bound in each:
                    assert re.search(rf"(?<![\d.]){each[bound]}(?![\d.]*\d)", values), (key, bound)


def test_every_brief_of_the_docs_is_accepted():
    sources = Sources(videos=(Part("clip.mp4"),), hooks=(Part("hook1.mp4"), Part("hook2.mp4")))
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    assert len(blocks) == 3
    for block in blocks:
        parse(block, sources, unused_allowed=True)


def test_all_axes_that_may_be_excluded_are_listed():
    listed = TEXT.partition("Its keys are")[2].partition("```")[0]
    assert re.findall(r"`(\w+)`", listed) == list(definition("exclusion")["properties"])
