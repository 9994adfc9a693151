"""The words that a route is described with."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

JsonSchema: TypeAlias = Mapping[str, Any]
NOTHING: Mapping[str, str] = {}

TEXT: JsonSchema = {"type": "string"}
BYTES: JsonSchema = {"type": "string", "format": "binary"}
JSON, FORM = "application/json", "multipart/form-data"


class Parameter(NamedTuple):
    """A parameter of the query, or, with where="header", of the head. None is required."""

    name: str
    description: str
    schema: JsonSchema = TEXT
    where: str = "query"


class Answer(NamedTuple):
    """An answer that is no error.

    shape: of its JSON, a class of shapes.py or a list of one; None for none. content: media types
    of other bodies. headers: descriptions by name. links: by operation, its parameters and
    where they are in the answer.
    """

    description: str
    shape: Any = None
    content: tuple[str, ...] = ()
    headers: Mapping[str, str] = NOTHING
    links: Mapping[str, Mapping[str, str]] = {}


class Body(NamedTuple):
    """A body that may be sent. encoding: content types of the parts of a form."""

    schema: JsonSchema
    media_type: str = JSON
    required: bool = True
    encoding: Mapping[str, str] = NOTHING


class Access(NamedTuple):
    """Who may call a route. codes: of what everybody else gets."""

    security: tuple[Mapping[str, list[str]], ...]
    codes: tuple[str, ...]


EVERYBODY = Access((), ())
NO_TOKEN = ("authorization_required", "invalid_token")
TOKEN = Access(({"token": []},), (*NO_TOKEN, "insufficient_scope"))
# Of who has signed in by password; no key opens it.
SESSION = Access(TOKEN.security, (*NO_TOKEN, "session_required"))
# `expires` and `signature` of a signed address open what it names, instead of a token.
TOKEN_OR_LINK = Access((*TOKEN.security, {"expires": [], "signature": []}), TOKEN.codes)


class Operation(NamedTuple):
    """A route. errors: codes beside those of `access` and ALWAYS. bodies: one of these."""

    summary: str
    answers: Mapping[int, Answer]
    errors: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Body, ...] = ()
    access: Access = TOKEN


# What any route may answer; the first three in place of our server, by what serves it.
ALWAYS = (
    *("bad_request", "uri_too_long", "headers_too_large"),
    *("internal_error", "busy", "database_busy", "database_unavailable", "outcome_unknown"),
)

NOT_MODIFIED = Answer("What If-None-Match names has not changed")
ETAG = {"ETag": "of this answer; with If-None-Match it is a 304 as long as nothing has changed"}
