"""JSON Schemas in words, for the page."""

import json
from typing import Any

from markupsafe import Markup, escape


def types_in_words(schema: dict[str, Any]) -> Markup:
    """Return what a schema takes, with links to the shapes it names: `list of Job, or null`."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return Markup('<a href="#{0}"><code>{0}</code></a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(types_in_words(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return Markup(", ").join(Markup("<code>{}</code>").format(json.dumps(v)) for v in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(types_in_words(schema.get("items", {})))
    kinds = schema.get("type", "anything")
    words = escape(" or ".join(kinds) if isinstance(kinds, list) else kinds)
    return words + escape(_limits(schema))


def _limits(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", at least {low}"
    kind = schema.get("format") or schema.get("contentMediaType")
    return f" ({kind})" if kind else ""
