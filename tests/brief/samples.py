"""Sources and documents that the tests of a brief have in common."""

from typing import Any

from hypothesis import strategies as st

from jobserver.brief.model import Part, Sources
from jobserver.brief.schema import SCHEMA, definition

SOURCES = Sources(
    videos=(Part("clip.mp4"), Part("second.mp4")),
    hooks=(Part("hook1.mp4"), Part("hook2.mp4")),
    endings=(Part("end.png"),),
    overlays=(Part("logo.png"),),
    music=(Part("song.m4a"),),
)
LOGO = {"overlay": "logo.png"}  # without it the overlay would be unused


def documents() -> st.SearchStrategy[Any]:
    """Return briefs that the schema accepts as a rule, and briefs with one key that is odd."""
    odd = st.one_of(
        [
            st.fixed_dictionaries({name: noise() | accepted(each, odd=True)})
            for name, each in SCHEMA["properties"].items()
        ]
    )
    return accepted(SCHEMA) | odd | noise()


def noise() -> st.SearchStrategy[Any]:
    """Return JSON values that have nothing to do with a schema."""
    numbers = st.sampled_from([0, 1, 1.0, 2, 0.5, -1, 20, 360, 2160.0, 1e9, 10**30])
    leaves = st.none() | st.booleans() | numbers | st.sampled_from(["", "full", "9:16", "#ffffff"])
    return st.recursive(
        leaves,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(words(), below, max_size=2),
        max_leaves=4,
    )


def words() -> st.SearchStrategy[str]:
    """Return keys of objects."""
    return st.sampled_from(["text", "to", "hook", "look", "overlay", "size", "unknown", "a b"])


def accepted(schema: Any, odd: bool = False) -> st.SearchStrategy[Any]:
    """Return values that a schema accepts as a rule. odd: any part may be something else."""
    if "$ref" in schema:
        schema = {**definition(schema["$ref"].rpartition("/")[2]), **schema}
    if "anyOf" in schema:
        return st.one_of([accepted(each, odd) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_type(name, schema, odd) for name in types])


def _of_type(name: str, schema: Any, odd: bool) -> st.SearchStrategy[Any]:
    def part(schema: Any) -> st.SearchStrategy[Any]:
        return accepted(schema, odd) | noise() if odd else accepted(schema)

    if name == "object":
        optional = {key: part(each) for key, each in schema["properties"].items()}
        required = {key: optional.pop(key) for key in schema.get("required", ())}
        if odd:
            optional["unknown"] = st.none()
        return st.fixed_dictionaries(required, optional=optional)
    if name == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        return st.lists(part(schema["items"]), min_size=least, max_size=most)
    if name == "string":
        if "pattern" in schema:
            colors = ["#012345", "#ABCDEF"] + ["#abcde", "#abcdefg", "x#01234"] * odd
            return st.sampled_from(colors)
        return st.sampled_from(["a", "{video}", "hook1.mp4", "x" * schema["maxLength"], "Neu"])
    if name == "number":
        return st.floats(schema["minimum"], schema["maximum"]) | st.just(schema["maximum"])
    if name == "integer":
        return st.integers(schema["minimum"], schema.get("maximum", 10**6))
    return st.none() if name == "null" else st.booleans()
