"""The API's description, for programs (OpenAPI) and for people: neither needs a token."""

from typing import Any

from flask import Blueprint, Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue

from jobserver.web import pages
from jobserver.web.conditional import conditional_json
from jobserver.web.openapi.document import document
from jobserver.web.openapi.reading import types_in_words

bp = Blueprint("openapi", __name__, url_prefix="/api")
bp.after_request(pages.protect)


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Answer 200 with the OpenAPI 3.1 document of this server, or 304. No token needed."""
    return conditional_json(_described(current_app))


@bp.get("/docs")
def docs() -> ResponseReturnValue:
    """Answer 200 with the same for people: a page without scripts. No token needed."""
    page = render_template("docs.html", api=_described(current_app), in_words=types_in_words)
    return page, {"Cache-Control": "no-cache"}


def _described(app: Flask) -> dict[str, Any]:
    """Return the document, which is made once a process, with the path that we are mounted at."""
    if "openapi" not in app.extensions:
        app.extensions["openapi"] = document(app)
    return {**app.extensions["openapi"], "servers": [{"url": request.script_root or "/"}]}
