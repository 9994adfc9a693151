"""Answers against the OpenAPI document: the status, the codes and the shape that it promises."""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = "#/components/schemas/"


class Contract:
    """What a document promises. Shapes have no other keys here than those that it names."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._closed = {"components": {"schemas": {}}}
        for name, schema in document["components"]["schemas"].items():
            closed = {"additionalProperties": False} if "properties" in schema else {}
            self._closed["components"]["schemas"][name] = {**schema, **closed}

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Return what the document says of a request; a fixed path comes before a pattern."""
        plain = path.partition("?")[0]
        for template, operations in sorted(
            self.document["paths"].items(), key=lambda i: "{" in i[0]
        ):
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
                found: dict[str, Any] = operations[method.lower()]
                return found
        raise KeyError(path)

    def check(
        self, method: str, path: str, *, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Raise unless the document has this answer."""
        answers = self.operation(method, path)["responses"]
        assert str(status) in answers, f"{method} {path} has no {status}: {body[:200]!r}"
        answer = answers[str(status)]
        media_type = (headers.get("Content-Type") or "").partition(";")[0]
        content = answer.get("content", {})
        if not content or method == "HEAD":
            assert body == b""
            return
        kinds = [kind for kind in content if re.fullmatch(kind.replace("*", ".*"), media_type)]
        assert kinds, f"{method} {path} answers {status} as {media_type}"
        if media_type != "application/json":
            return
        found = json.loads(body)
        schema = {**content[kinds[0]]["schema"], **self._closed}
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        wrong = [f"{each.json_path}: {each.message[:300]}" for each in validator.iter_errors(found)]
        assert wrong == [], f"{method} {path}"
        if "x-codes" in answer:
            assert found["code"] in answer["x-codes"], f"{method} {path}: {found['code']}"
