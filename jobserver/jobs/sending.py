"""Ranges, ETags and files: how stored bytes become an answer.

One range is answered (206); a malformed one, one beyond the end, and several at once are a
416. A range whose If-Range does not match any more gets the whole (RFC 9110, 13.1.5, 14.2).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import quote_etag
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from jobserver.errors import Busy, OutputGone
from jobserver.jobs.archive import Archive
from jobserver.timeouts import limit_sending

PIECE_SIZE = 256 * 1024
FOREVER = "private, max-age=86400"  # an output never changes
WHILE_IT_GROWS = "private, no-cache"  # an archive does, as long as outputs are added


class SentFile(FileIO):
    """A file that says when it is closed: by whom depends on how it is sent."""

    on_close: Callable[[], object] | None = None

    def close(self) -> None:
        """Close the file, and say so the first time."""
        if not self.closed and self.on_close is not None:
            self.on_close()
        super().close()


class Part(NamedTuple):
    """The bytes from `start` to before `stop` of `length`, and whether a range asked for them."""

    start: int
    stop: int
    length: int
    ranged: bool


def send_file(
    request: Request,
    path: Path,
    etag: str,
    modified: float,
    headers: Mapping[str, str],
    accel: str | None,
) -> Response:
    """Answer with a file of OUTPUT_DIR/<job id>; with `accel` set, have nginx send it.

    modified: Unix seconds. Raises OutputGone, Busy or RequestedRangeNotSatisfiable (416).
    """
    try:
        file = SentFile(path)
    except FileNotFoundError as error:
        raise OutputGone from error
    try:
        part = _requested(request, os.fstat(file.fileno()).st_size, etag)
        response = _answer(request, part, etag, {**headers, "Cache-Control": FOREVER})
    except BaseException:
        file.close()
        raise
    response.last_modified = modified  # type: ignore[assignment]  # werkzeug takes seconds too
    if accel and response.status_code != 304:
        response.headers["X-Accel-Redirect"] = f"{accel.rstrip('/')}/{_place(path)}"
        response.status_code, part = 200, Part(0, 0, 0, ranged=False)  # nginx sees to ranges
        response.headers.pop("Content-Range", None)
        response.headers.pop("Content-Length", None)
    if response.status_code == 304 or part.start == part.stop:
        file.close()
    else:
        _fill(request, response, file, part)
    return response


def send_archive(
    request: Request, archive: Archive, etag: str, headers: Mapping[str, str]
) -> Response:
    """Answer with a ZIP and close it then. Raises Busy or RequestedRangeNotSatisfiable (416)."""
    try:
        part = _requested(request, archive.length, etag)
        response = _answer(request, part, etag, {**headers, "Cache-Control": WHILE_IT_GROWS})
        if response.status_code != 304:
            response.call_on_close(limit_sending(request.environ, part.stop - part.start))
            response.response = archive.read(part.start, part.stop)
    except BaseException:
        archive.close()
        raise
    response.call_on_close(archive.close)
    return response


def _place(path: Path) -> str:
    return quote(f"{path.parent.name}/{path.name}")


def _fill(request: Request, response: Response, file: SentFile, part: Part) -> None:
    """Let the server send the file itself (sendfile) when the part reaches to its end."""
    try:
        file.on_close = limit_sending(request.environ, part.stop - part.start)
    except Busy:
        file.close()
        raise
    file.seek(part.start)
    if part.stop == part.length:
        response.response = wrap_file(request.environ, file, PIECE_SIZE)
        response.direct_passthrough = True  # and the server closes the file
    else:
        response.response = _pieces(file, part.stop - part.start)
        response.call_on_close(file.close)


def _pieces(file: FileIO, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(PIECE_SIZE, size))):
        size -= len(piece)
        yield piece


def _requested(request: Request, length: int, etag: str) -> Part:
    """Return what is asked for of `length` bytes; only GET has ranges, of bytes (14.1, 14.2)."""
    stale = request.headers.get("If-Range", quote_etag(etag)) != quote_etag(etag)
    unit = request.headers.get("Range", "").partition("=")[0].strip().lower()
    if unit != "bytes" or stale or request.method != "GET" or etag in request.if_none_match:
        return Part(0, length, length, ranged=False)
    if request.range is None or len(request.range.ranges) != 1:
        raise RequestedRangeNotSatisfiable(length)
    start, stop = request.range.ranges[0]
    start, stop = start if start >= 0 else max(0, length + start), min(stop or length, length)
    if start >= stop:
        raise RequestedRangeNotSatisfiable(length)
    return Part(start, stop, length, ranged=True)


def _answer(request: Request, part: Part, etag: str, headers: Mapping[str, str]) -> Response:
    """Return the head of the answer: 200, 206, or 304 when the client has it already."""
    response = Response(status=206 if part.ranged else 200, headers=dict(headers))
    response.set_etag(etag)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["X-Content-Type-Options"] = "nosniff"  # a client's bytes are never a page
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304
        return response
    response.content_length = part.stop - part.start
    if part.ranged:
        last = part.stop - 1
        response.headers["Content-Range"] = f"bytes {part.start}-{last}/{part.length}"
    return response
