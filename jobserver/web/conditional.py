"""JSON answers with an ETag: a client that has the same already gets a 304."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from jobserver.web.hot_path import to_json

NO_HEADERS: Mapping[str, str] = {}
CACHE_CONTROL = "private, no-cache"


def json_body(data: Any) -> bytes:
    """Return an answer as it is sent."""
    return to_json(data) + b"\n"


def conditional_json(data: Any, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer with JSON and its ETag, which covers `headers` too; a 304 to who has that one."""
    body = json_body(data)
    covered = b"".join((body, *(value.encode() for value in headers.values())))
    return conditional(hashlib.sha256(covered).hexdigest()[:32], lambda: body, headers)


def conditional(
    etag: str, make_body: Callable[[], bytes], headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    """Answer with the JSON of an ETag, or a 304, for which it is not made."""
    unchanged = request.if_none_match.contains_weak(etag)
    body = b"" if unchanged else make_body()
    response = Response(body, mimetype="application/json", headers=dict(headers))
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.set_etag(etag)
    if unchanged:
        response.status_code = 304
    return response
