"""JSON answers with an ETag: a client that has the same already gets a 304."""

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from jobserver.web.hot_path import to_json

NO_HEADERS: Mapping[str, str] = {}


def conditional_json(data: Any, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer with JSON and its ETag, which covers `headers` too; a 304 to who has that one."""
    body = to_json(data).encode() + b"\n"
    covered = b"".join((body, *(value.encode() for value in headers.values())))
    etag = hashlib.sha256(covered).hexdigest()[:32]
    response = Response(body, mimetype="application/json", headers=dict(headers))
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(etag)
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304  # werkzeug sends no body with it
    return response
