"""A brief as JSON: as a client could have written it, and as it is kept with its job."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from jobserver.brief.model import AXES, Brief, Exclusion, Headline, Logo
from jobserver.brief.recipes import shown
from jobserver.brief.schema import definition, with_defaults

# What JSON calls otherwise than the fields of Brief and Headline.
_JSON_NAMES = {
    "pad_color": "padColor",
    "still_seconds": "stillSeconds",
    "music_volume": "musicVolume",
    "start": "from",
    "end": "to",
}
_COLORS = frozenset({"pad_color", "color", "background"})
_NOT_IN_JSON = frozenset({"looks", "recipe"})  # texts, or beside the brief


def dump(brief: Brief) -> str:
    """Return what is kept of a brief with its job: load() returns an equal one."""
    kept = {**to_document(brief), "looks": brief.looks, "recipe": brief.recipe}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def load(text: str) -> Brief:
    """Return the brief that dump() was given."""
    kept = json.loads(text)
    return from_document(kept, looks=kept.pop("looks"), recipe=kept.pop("recipe"))


def to_document(brief: Brief) -> dict[str, Any]:
    """Return a brief as its client could have written it, every key given."""
    document = _object(brief)
    document["headlines"] = [each and _object(each) for each in brief.headlines]
    document["logo"] = brief.logo and _object(brief.logo)
    document["exclude"] = [dict(each.values) for each in brief.exclude]
    document["recipe"] = shown(brief.recipe)
    return document


def from_document(document: Mapping[str, Any], *, looks: int, recipe: str) -> Brief:
    """Return the brief that a document with every key says, which the schema has accepted."""
    values = dict(_values(Brief, document))
    values["headlines"] = tuple(
        each and Headline(**dict(_values(Headline, with_defaults(each, definition("headline")))))
        for each in document["headlines"]
    )
    if document["logo"] is not None:
        filled = with_defaults(document["logo"], definition("logo"))
        values["logo"] = Logo(**dict(_values(Logo, filled)))
    values["exclude"] = tuple(
        Exclusion(tuple((axis, _plain(each[axis])) for axis in AXES if axis in each))
        for each in document["exclude"]
    )
    return Brief(**values, looks=looks, recipe=recipe)


def _object(value: Brief | Headline | Logo) -> dict[str, Any]:
    """Return the fields of a value by their names in JSON, tuples as lists."""
    return {
        _JSON_NAMES.get(name, name): list(held) if isinstance(held, tuple) else held
        for name in _names(type(value))
        for held in [getattr(value, name)]
    }


def _values(kind: type, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _names(kind):
        value = document[_JSON_NAMES.get(name, name)]
        if name in _COLORS and value is not None:
            value = value.lower()
        yield name, tuple(map(_plain, value)) if isinstance(value, list) else _plain(value)


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in _NOT_IN_JSON]


def _plain(value: Any) -> Any:
    """Return a number as an integer where it is whole: 2 and 2.0 are the same number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
