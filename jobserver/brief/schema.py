"""The JSON Schema of a brief, and the check of a document against it.

schema.json is the one place that says which keys there are, their types, ranges and defaults: the
check follows it, so do docs and OpenAPI. The check is our own because its sentences are for people
who wrote a brief, and name the key at fault; it knows the keywords that schema.json uses and no
other, and tests hold it equal to the package `jsonschema`.
"""

import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, TypeAlias

from jobserver.brief.document import WHOLE, item_path, key_path
from jobserver.brief.errors import BriefError

Schema: TypeAlias = Mapping[str, Any]

SCHEMA: Schema = json.loads((files(__package__) / "schema.json").read_text(encoding="utf-8"))
ARTICLES = {"object": "an object", "array": "a list", "null": "null", "boolean": "true or false"}


def check(document: Any, schema: Schema = SCHEMA, path: str = "") -> None:
    """Raise BriefError at the first key of a decoded JSON value that the schema refuses."""
    schema = _resolved(schema)
    if "anyOf" in schema:
        _check_alternatives(document, schema, path)
    elif not _has_type(document, schema) or not _is_listed(document, schema):
        raise _unexpected(schema, path)
    elif isinstance(document, dict):
        _check_object(document, schema, path)
    elif isinstance(document, list):
        _check_list(document, schema, path)
    elif isinstance(document, str):
        _check_text(document, schema, path)
    elif isinstance(document, int | float) and not isinstance(document, bool):
        low, high = schema.get("minimum", document), schema.get("maximum", document)
        if not low <= document <= high:
            raise _unexpected(schema, path)


def with_defaults(document: Mapping[str, Any], schema: Schema = SCHEMA) -> dict[str, Any]:
    """Return an object that was checked with the default of each key that it leaves out."""
    properties = {name: _resolved(each) for name, each in schema["properties"].items()}
    defaults = {name: each["default"] for name, each in properties.items() if "default" in each}
    return {**defaults, **document}


def definition(name: str) -> Schema:
    """Return one of the schema's parts: `headline`, `logo`."""
    found: Schema = SCHEMA["$defs"][name]
    return found


def expected(schema: Schema) -> str:
    """Return what a schema takes, in words: `a whole number from 360 to 2160`."""
    schema = _resolved(schema)
    if "title" in schema:
        return str(schema["title"])
    if "anyOf" in schema:
        return " or ".join(expected(each) for each in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(json.dumps(each) for each in schema['enum'])}"
    if "const" in schema:
        return json.dumps(schema["const"])
    return " or ".join(_type_in_words(name, schema) for name in _types(schema))


def value_key(value: Any) -> Any:
    """Return what two JSON values have in common exactly if they are equal: 1 and 1.0 are."""
    if isinstance(value, list):
        return ("list", *(value_key(item) for item in value))
    if isinstance(value, dict):
        return frozenset((key, value_key(item)) for key, item in value.items())
    return (isinstance(value, bool), value)


def _resolved(schema: Schema) -> Schema:
    """Return a schema with what its `$ref` names beside its own keywords."""
    if "$ref" not in schema:
        return schema
    return {**definition(schema["$ref"].removeprefix("#/$defs/")), **schema}


def _check_alternatives(document: Any, schema: Schema, path: str) -> None:
    """Check against the only alternative of the document's type, or against all of them.

    A brief has few: a headline that is an object is judged as one, not called no null.
    """
    alternatives = [_resolved(each) for each in schema["anyOf"]]
    of_type = [each for each in alternatives if "type" in each and _has_type(document, each)]
    if isinstance(document, dict) and len(of_type) == 1:
        return check(document, of_type[0], path)
    for each in alternatives:
        try:
            return check(document, each, path)
        except BriefError:
            continue
    raise _unexpected(schema, path)


def _check_object(document: dict[str, Any], schema: Schema, path: str) -> None:
    properties = schema.get("properties", {})
    for key, value in document.items():
        place = key_path(path, key)
        if key in properties:
            check(value, properties[key], place)
        elif not schema.get("additionalProperties", True):
            raise BriefError(place, f"is unknown here; known are {', '.join(properties)}")
    for key in schema.get("required", ()):
        if key not in document:
            raise BriefError(key_path(path, key), "is missing")
    if len(document) < schema.get("minProperties", 0):
        raise BriefError(path or WHOLE, f"needs one of {', '.join(properties)}")


def _check_list(document: list[Any], schema: Schema, path: str) -> None:
    low, high = schema.get("minItems", 0), schema.get("maxItems", len(document))
    if not low <= len(document) <= high:
        raise _unexpected(schema, path)
    for index, item in enumerate(document):
        check(item, schema["items"], item_path(path, index))
    if schema.get("uniqueItems"):
        refuse_repeats([value_key(item) for item in document], path)


def refuse_repeats(values: list[Any], path: str) -> None:
    """Raise BriefError for the first value of a list that an earlier one equals."""
    first: dict[Any, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            raise BriefError(item_path(path, index), f"repeats {item_path(path, first[value])}")


def _check_text(document: str, schema: Schema, path: str) -> None:
    low, high = schema.get("minLength", 0), schema.get("maxLength", len(document))
    pattern = schema.get("pattern")
    if not low <= len(document) <= high or (pattern and not re.fullmatch(pattern, document)):
        raise _unexpected(schema, path)


def _unexpected(schema: Schema, path: str) -> BriefError:
    return BriefError(path or WHOLE, f"must be {expected(schema)}")


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _has_type(document: Any, schema: Schema) -> bool:
    return "type" not in schema or any(IS_TYPE[name](document) for name in _types(schema))


def _is_listed(document: Any, schema: Schema) -> bool:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return listed is None or value_key(document) in [value_key(each) for each in listed]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


IS_TYPE: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == value // 1,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _type_in_words(name: str, schema: Schema) -> str:
    if name in ("number", "integer"):
        noun = "a number" if name == "number" else "a whole number"
        if "maximum" in schema:
            return f"{noun} from {schema['minimum']} to {schema['maximum']}"
        return f"{noun} of at least {schema['minimum']}"
    if name == "string":
        return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
    if name == "array":
        return _list_in_words(schema)
    return ARTICLES[name]


def _list_in_words(schema: Schema) -> str:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if high is None:
        return "a list of at least one" if low else "a list"
    return f"a list of {low}" if low == high else f"a list of {low} to {high}"
