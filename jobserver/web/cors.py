"""Pages of other origins (CORS_ORIGINS) may use the API; browsers keep all others out.

Off by default. There are no cookies, so a page gets nothing without a token. In front of Flask,
because not all answers go through it (polling.py).
Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/"
MAX_AGE_S = 7200  # for which a browser keeps a preflight's answer; Chromium takes no more
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
# What a page may send, and what it may read beside the plain ones.
REQUEST_HEADERS = ", ".join(
    (
        *("Authorization", "Content-Type", "Idempotency-Key"),
        *("If-Match", "If-None-Match", "If-Modified-Since", "If-Range", "Range"),
        *("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Checksum"),
        *("Upload-Defer-Length", "Upload-Concat", "X-HTTP-Method-Override", "X-Requested-With"),
    )
)
EXPOSED_HEADERS = ", ".join(
    (
        *("Location", "Retry-After", "Link", "ETag", "X-Request-ID", "WWW-Authenticate"),
        *("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range"),
        *("Idempotent-Replayed", "Upload-Offset", "Upload-Length", "Upload-Expires"),
        *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size"),
        "Tus-Checksum-Algorithm",
    )
)


class CrossOrigin:
    """WSGI in front of the app: answers preflights of these origins, and lets their pages read."""

    def __init__(self, below: "WSGIApplication", origins: Sequence[str]) -> None:
        """origins: as browsers send them, `https://app.example`, compared exactly."""
        self._below, self._origins = below, frozenset(origins)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(PREFIX):
            return self._below(environ, start_response)
        origin = environ.get("HTTP_ORIGIN", "")
        allowed = origin in self._origins
        if allowed and _is_preflight(environ):
            start_response("204 NO CONTENT", _answer_preflight(origin))
            return []

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None
        ) -> object:
            headers.append(("Vary", "Origin"))
            if allowed:
                headers.append(("Access-Control-Allow-Origin", origin))
                headers.append(("Access-Control-Expose-Headers", EXPOSED_HEADERS))
            return start_response(status, headers, exc_info)

        return self._below(environ, start)  # type: ignore[arg-type]


def _is_preflight(environ: "WSGIEnvironment") -> bool:
    method = environ["REQUEST_METHOD"]
    return method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def _answer_preflight(origin: str) -> list[tuple[str, str]]:
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", REQUEST_HEADERS),
        ("Access-Control-Max-Age", str(MAX_AGE_S)),
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("Content-Length", "0"),
    ]
