"""The OpenAPI 3.1 document: the routes of the app, what is said of them, and the shapes.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

import re
from collections.abc import Iterable, Iterator
from inspect import getdoc
from typing import Any, Literal

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from jobserver.brief.schema import SCHEMA as BRIEF
from jobserver.uploads import UploadLimits
from jobserver.uploads.containers import media_types
from jobserver.version import VERSION
from jobserver.web import service_shapes, shapes
from jobserver.web.briefs import request_schema
from jobserver.web.error_codes import CODES
from jobserver.web.openapi.model import (
    ALWAYS,
    BYTES,
    FORM,
    JSON,
    Answer,
    Body,
    Operation,
    Parameter,
)
from jobserver.web.openapi.table import OPERATIONS

PREFIX = "/api"
SCHEMAS = "#/components/schemas/"
DESCRIPTION = (
    "Videos become creative variations. Sign in with `POST /api/auth`, upload with "
    "`POST /api/jobs`, ask `GET /api/jobs/{job_id}` until it has ended, download. "
    "Every error is JSON with a `code`; its values stay, and new ones may be added."
)
SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `token` that `POST /api/auth` answers",
    },
    **{
        name: {"type": "apiKey", "in": "query", "name": name, "description": description}
        for name, description in (
            ("expires", "of a signed address, together with `signature`"),
            ("signature", "of a signed address, together with `expires`"),
        )
    },
}
REQUEST_ID = {"description": "is in the server's log too", "schema": {"type": "string"}}
RETRY_AFTER = {"description": "seconds to wait before repeating it", "schema": {"type": "integer"}}


class _PlainSchema(GenerateJsonSchema):
    """JSON Schema without a title for each key, which would be the key once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return whether a key has a title."""
        return False


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield method, rule and endpoint of all that is served under /api."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(PREFIX):
            methods = (rule.methods or set()) - {"OPTIONS"}
            for method in sorted(methods - {"HEAD"} or methods):  # GET brings a HEAD
                yield method, rule.rule, rule.endpoint


def document(app: Flask) -> dict[str, Any]:
    """Return the document of an app, without its servers. Raises KeyError for an unknown route."""
    paths: dict[str, dict[str, Any]] = {}
    for method, rule, endpoint in routes(app):
        operation = OPERATIONS[f"{method} {rule}"]
        described = _operation_json(app, operation, rule, endpoint)
        paths.setdefault(_path(rule), {})[method.lower()] = described
    found: dict[str, Any] = _with_refs(
        {
            "openapi": "3.1.0",
            "info": {"title": "jobserver", "version": VERSION, "description": DESCRIPTION},
            "paths": paths,
            "components": {
                "schemas": {**_shapes(), **_brief(), "PlanRequest": _plan_request(app)},
                "securitySchemes": SECURITY,
                "headers": {"X-Request-ID": REQUEST_ID, "Retry-After": RETRY_AFTER},
            },
            "x-error-codes": {
                code: {"status": line.status, "when": line.when, "retryAfter": line.retry}
                for code, line in CODES.items()
            },
        }
    )
    return found


def _path(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _operation_json(app: Flask, operation: Operation, rule: str, endpoint: str) -> dict[str, Any]:
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    codes = (*operation.access.codes, *operation.errors, *ALWAYS)
    for status, answer in _errors(codes):
        answers.setdefault(status, answer)
    described: dict[str, Any] = {
        "operationId": endpoint.rpartition(".")[2],
        "tags": [rule.split("/")[2]],
        "summary": operation.summary,
        "description": (getdoc(app.view_functions[endpoint]) or "").partition("\n\n")[2],
        "security": [dict(each) for each in operation.access.security],
        "parameters": [
            *(_path_parameter(name) for name in re.findall(r"<(?:\w+:)?(\w+)>", rule)),
            *map(_parameter, operation.parameters),
        ],
        "responses": dict(sorted(answers.items())),
    }
    if operation.bodies:
        described["requestBody"] = {
            "required": all(body.required for body in operation.bodies),
            "content": {body.media_type: _body(app, body) for body in operation.bodies},
        }
    return {name: value for name, value in described.items() if value != ""}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _body(app: Flask, body: Body) -> dict[str, Any]:
    limits: UploadLimits = app.extensions["upload_limits"]
    videos = ", ".join(media_types(limits.accept))
    encoding = {
        name: {"contentType": kind.format(videos=videos)} for name, kind in body.encoding.items()
    }
    return {"schema": body.schema, **({"encoding": encoding} if body.media_type == FORM else {})}


def _answer(answer: Answer) -> dict[str, Any]:
    headers = {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in answer.headers.items()
    }
    described: dict[str, Any] = {
        "description": answer.description,
        "headers": {**headers, "X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}},
    }
    if answer.links:
        described["links"] = {
            name: {"operationId": name, "parameters": dict(parameters)}
            for name, parameters in answer.links.items()
        }
    if answer.shape is not None:
        described["content"] = {JSON: {"schema": _schema(answer.shape)}}
    elif answer.content:
        described["content"] = {kind: {"schema": _content(kind)} for kind in answer.content}
    return described


def _content(media_type: str) -> dict[str, Any]:
    """Return the schema of a body that is not one of our shapes."""
    if media_type == JSON:
        return {"type": "object"}
    return {"type": "string"} if media_type.startswith("text/") else dict(BYTES)


def _errors(codes: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each status of these codes with what it says of them."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(CODES[code].status, []).append(code)
    for status, found in by_status.items():
        lines = "; ".join(f"`{code}`: {CODES[code].when}" for code in found)
        headers = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
        if any(CODES[code].retry for code in found):
            headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        yield (
            str(status),
            {
                "description": lines,
                "headers": headers,
                "content": {JSON: {"schema": {"x-schema": "Error"}}},
                "x-codes": found,
            },
        )


def _schema(shape: Any) -> dict[str, Any]:
    if getattr(shape, "__origin__", None) is list:
        return {"type": "array", "items": _schema(shape.__args__[0])}
    return {"x-schema": shape.__name__}


def _shapes() -> dict[str, Any]:
    """Return the JSON Schemas of all shapes, by their names."""
    kinds = [
        kind
        for module in (shapes, service_shapes)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    adapters: list[tuple[str, Literal["serialization"], TypeAdapter[Any]]] = [
        (kind.__name__, "serialization", TypeAdapter(kind)) for kind in kinds
    ]
    _, found = TypeAdapter.json_schemas(
        adapters,
        ref_template=SCHEMAS + "{model}",
        schema_generator=_PlainSchema,
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _brief() -> dict[str, Any]:
    """Return the schema of a brief and its parts as components."""
    whole = {name: value for name, value in BRIEF.items() if name not in ("$schema", "$defs")}
    parts = {_component(name): part for name, part in BRIEF["$defs"].items()}
    return {name: _relocated(schema) for name, schema in {"Brief": whole, **parts}.items()}


def _component(name: str) -> str:
    return f"Brief{name[0].upper()}{name[1:]}"


def _relocated(schema: Any) -> Any:
    """Return a schema whose references lead to the components."""
    if isinstance(schema, list):
        return [_relocated(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {name: _relocated(value) for name, value in schema.items()}
    if isinstance(moved.get("$ref"), str):
        moved["$ref"] = SCHEMAS + _component(moved["$ref"].rpartition("/")[2])
    return moved


def _plan_request(app: Flask) -> dict[str, Any]:
    limits: UploadLimits = app.extensions["upload_limits"]
    schema = request_schema(limits)
    brief = {"anyOf": [{"x-schema": "Brief"}, {"type": "null"}]}
    return {**schema, "properties": {**schema["properties"], "brief": brief}}


def _with_refs(value: Any) -> Any:
    """Return a value in which each {"x-schema": name} is a reference to that component."""
    if isinstance(value, list | tuple):
        return [_with_refs(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"x-schema"}:
        return {"$ref": SCHEMAS + value["x-schema"]}
    return {name: _with_refs(each) for name, each in value.items()}
