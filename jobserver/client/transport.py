"""One request over HTTP, repeated while the server is busy or the line is bad and that is safe."""

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jobserver.client.errors import ApiError, ClientError, NotSignedIn, ServerUnavailable

ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LINE_FAILED = (OSError, http.client.HTTPException)
_AGAIN = (502, 504)  # of a proxy whose server is being restarted


class Body(NamedTuple):
    """What is sent. pieces: called for each attempt. size: bytes."""

    content_type: str
    size: int
    pieces: Callable[[], Iterable[bytes]]

    @classmethod
    def of_json(cls, value: Any) -> "Body":
        """Send a JSON value."""
        content = json.dumps(value).encode()
        return cls("application/json", len(content), lambda: [content])


class Answer(NamedTuple):
    """A whole answer below 400. headers: found whatever the case of their names."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """Its JSON. Raises ClientError when something else has answered."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ClientError("What answers there is no jobserver") from error


class Transport:
    """A server, by the address that browsers would use: it may have a path (`/videos`)."""

    def __init__(
        self, url: str, *, timeout_s: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """timeout_s: without a byte. Raises ClientError for what is no address."""
        self.url = url.rstrip("/")
        self.token: str | None = None
        self._timeout_s, self._sleep = timeout_s, sleep
        self._connect, self._prefix = _connector(self.url, timeout_s)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
    ) -> Answer:
        """Return the answer to a request. path: from `/api` on.

        repeats: also when nobody knows whether the server has had it; when it says that it is
        busy, a request is always repeated. Raises ApiError or ServerUnavailable.
        """
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            wait_s = FIRST_WAIT_S * 2**attempt
            try:
                with self.open(method, path, body=body, headers=headers) as response:
                    answer = Answer(response.status, response.headers, response.read())
            except LINE_FAILED as error:
                if is_last or not repeats:
                    raise ServerUnavailable(_unreachable(self.url, error)) from error
                self._sleep(wait_s)
                continue
            if answer.status < 400:
                return answer
            asked_s = _asked_wait_s(answer)
            if is_last or asked_s is None:
                raise _refusal(answer)
            self._sleep(min(max(asked_s, wait_s), LONGEST_WAIT_S))
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request once, and give its answer as it comes, whatever its status.

        A redirect to where the server keeps its files is followed. Raises LINE_FAILED.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent |= {"Content-Type": body.content_type, "Content-Length": str(body.size)}
        elif method == "POST":
            sent["Content-Length"] = "0"
        with closing(self._connect()) as connection:
            try:
                pieces = None if body is None else body.pieces()
                connection.request(method, self._prefix + path, pieces, sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have answered before it had all of it
            response = connection.getresponse()
            if response.status not in (302, 307) or method != "GET":
                yield response
                return
            location = response.headers["Location"] or ""
        connect, _ = _connector(location, self._timeout_s)
        parts = urlsplit(location)
        with closing(connect()) as connection:  # a token is for the server alone
            kept = {name: value for name, value in (headers or {}).items() if name == "Range"}
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, headers=kept)
            yield connection.getresponse()


def refusal_of(response: http.client.HTTPResponse) -> ApiError | ServerUnavailable:
    """Return the error that an answer of 400 or more says."""
    return _refusal(Answer(response.status, response.headers, response.read()))


def _connector(url: str, timeout_s: float) -> tuple[Callable[[], http.client.HTTPConnection], str]:
    """Return what makes a connection, and the path before all of ours. Raises ClientError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https") or re.search(r"[^!-~]", url):
        raise ClientError(f"{url!r} is no address like https://videos.example")
    if parts.scheme == "http":
        return lambda: http.client.HTTPConnection(host, port, timeout=timeout_s), parts.path
    context = ssl.create_default_context()
    return (
        lambda: http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context),
        parts.path,
    )


def _asked_wait_s(answer: Answer) -> float | None:
    """Return how many seconds to wait before the same request is sent again; None: never."""
    if answer.status in _AGAIN:
        return 0.0
    after = answer.headers["Retry-After"] or ""
    return float(after) if answer.status in (409, 503) and after.isdecimal() else None


def _refusal(answer: Answer) -> ApiError | ServerUnavailable:
    try:
        found = json.loads(answer.body)
        sentence, code = str(found["error"]), found.get("code")
    except (ValueError, TypeError, KeyError, AttributeError):
        sentence, code = f"The server answered {answer.status}", None
    if answer.status in (502, 503, 504):
        return ServerUnavailable(sentence)
    kind = NotSignedIn if answer.status == 401 else ApiError
    return kind(sentence, answer.status, code)


def _unreachable(url: str, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{url} does not answer: {reason}"
