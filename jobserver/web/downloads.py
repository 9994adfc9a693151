"""Downloads: ranges, ETags and files; how stored bytes become an answer.

One range is answered (206); a malformed one, one beyond the end, and several at once are a
416. A range whose If-Range does not match any more gets the whole (RFC 9110, 13.1.5, 14.2), and
so does one of a ZIP that comes without If-Range where an earlier ZIP had other bytes.

werkzeug parses the headers, and its make_conditional() is not used (3.1): it looks at the range
before If-Match, refuses `If-Match: *` and a suffix longer than the file, takes a weak If-Range
for a strong one, and adds a second Date to that of gunicorn.
"""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, NamedTuple, cast
from urllib.parse import quote

from werkzeug.exceptions import (
    PreconditionFailed,
    PreconditionRequired,
    RequestedRangeNotSatisfiable,
)
from werkzeug.http import quote_etag
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from jobserver.errors import OutputGone
from jobserver.files.keys import OUTPUTS
from jobserver.files.store import Store
from jobserver.files.zip import Archive
from jobserver.serving.client_limits import limit_download

PIECE_SIZE = 256 * 1024
NEVER_CHANGES = "private, max-age=86400"  # an output
STILL_GROWS = "private, no-cache"  # an archive, as long as outputs are added

# Wget leaves out of a 200 as many bytes as it has, and appends the others to these (1.21,
# rb_skip_startpos in its retr.c): where it must not resume it gets an error.
APPENDS_TO_ITS_FILE = re.compile("wget", re.I)


class Download(NamedTuple):
    """What is asked for. etag: of its bytes. modified: Unix seconds. headers: its own.

    size: bytes, as far as a row says so.
    """

    key: str
    etag: str
    modified: float
    headers: Mapping[str, str]
    size: int | None = None


class Part(NamedTuple):
    """The bytes from `start` to before `stop` of `length`."""

    start: int
    stop: int
    length: int

    @property
    def size(self) -> int:
        """Bytes of the part."""
        return self.stop - self.start


def send_file(
    request: Request,
    store: Store,
    download: Download,
    *,
    link_lifetime_s: int,
    accel: str | None = None,
) -> Response:
    """Answer with a file, or with where the store gives it to a client for so many seconds.

    accel: nginx's internal location of OUTPUT_DIR; with it nginx sends the file from there.
    Raises OutputGone, Busy, StoreUnreachable or, as werkzeug's own errors, PreconditionFailed
    (412) or RequestedRangeNotSatisfiable (416).
    """
    headers = {**download.headers, "Cache-Control": NEVER_CHANGES}
    link = store.link(download.key, headers, link_lifetime_s)
    if link and (found := _answer_unopened(request, download, link, link_lifetime_s)):
        return found
    try:
        file = store.open(download.key)
    except FileNotFoundError as error:
        raise OutputGone from error
    try:
        response = _head(download.etag, headers, download.modified)
        part = _requested_part(request, response, file.seek(0, os.SEEK_END))
        if part and accel and not request.if_match:  # nginx has no ETag for it
            file.close()
            _redirect_to_nginx(response, f"{accel.rstrip('/')}/{_accel_path(download.key)}")
        elif part and part.size:
            _fill(request, response, file, part)
        else:
            file.close()
    except BaseException:
        file.close()
        raise
    return response


def send_archive(
    request: Request,
    archive: Archive,
    headers: Mapping[str, str],
    *,
    is_shared: Callable[[int], bool],
) -> Response:
    """Answer with a ZIP and close it then.

    is_shared: whether a client that has the bytes up to a place has those of this ZIP, although
    it had them earlier. Raises what send_file() raises but OutputGone, and, as werkzeug's own
    error, PreconditionRequired (428).
    """
    try:
        response = _head(archive.fingerprint, {**headers, "Cache-Control": STILL_GROWS})
        part = _requested_part(request, response, archive.length, is_shared)
        if part is not None:
            response.call_on_close(limit_download(request.environ, part.size))
            response.response = archive.read(part.start, part.stop)
    except BaseException:
        archive.close()
        raise
    response.call_on_close(archive.close)
    return response


def _head(etag: str, headers: Mapping[str, str], modified: float | None = None) -> Response:
    response = Response(headers=dict(headers))
    response.set_etag(etag)
    response.headers["Accept-Ranges"] = "bytes"
    if modified is not None:
        response.last_modified = modified  # type: ignore[assignment]  # seconds too
    return response


def _answer_unopened(
    request: Request, download: Download, link: str, lifetime_s: int
) -> Response | None:
    """Answer without asking the store: a redirect for GET; HEAD and 304 from what rows say.

    None for what needs the object here: a HEAD whose length no row knows, and conditions that
    name our ETag, which the store's own is unlike. A link to GET is refused for HEAD, so HEAD
    never leads there. The redirect may be kept for half the time that its address works.
    """
    response = _head(
        download.etag, {**download.headers, "Cache-Control": NEVER_CHANGES}, download.modified
    )
    if request.if_match or quote_etag(download.etag) == request.headers.get("If-Range"):
        return None
    if _is_known(request, response, download.etag):
        response.status_code = 304
        return response
    if request.method == "GET":
        kept = {"Location": link, "Cache-Control": f"private, max-age={lifetime_s // 2}"}
        return Response(status=302, headers=kept)
    if download.size is None:
        return None
    response.content_length = download.size
    return response


def _requested_part(
    request: Request,
    response: Response,
    length: int,
    is_shared: Callable[[int], bool] = lambda _place: True,
) -> Part | None:
    """Turn the head into a 200, 206 or 304; return what to send of `length` bytes, None for 304.

    The conditions in the sequence of RFC 9110, 13.2.2.
    Raises PreconditionFailed, PreconditionRequired or RequestedRangeNotSatisfiable.
    """
    etag = response.get_etag()[0] or ""
    if request.if_match and etag not in request.if_match:
        raise PreconditionFailed("The file is not the one that If-Match names")
    if _is_known(request, response, etag):
        response.status_code = 304
        return None
    part = Part(0, length, length)
    if _asks_for_range(request, etag) and _fits(request, length, is_shared):
        part = _range_of(request, length)
        response.status_code = 206
        response.content_range.set(part.start, part.stop, length)
    response.content_length = part.size
    return part


def _is_known(request: Request, response: Response, etag: str) -> bool:
    """Return whether the client has these bytes already."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(etag)
    since, modified = request.if_modified_since, response.last_modified
    return since is not None and modified is not None and modified <= since


def _asks_for_range(request: Request, etag: str) -> bool:
    """Return whether a part is asked for: only GET has ranges, and bytes are our only unit."""
    unit = request.headers.get("Range", "").partition("=")[0].strip().lower()
    same = request.headers.get("If-Range", quote_etag(etag)) == quote_etag(etag)
    return unit == "bytes" and same and request.method == "GET"


def _fits(request: Request, length: int, is_shared: Callable[[int], bool]) -> bool:
    """Return whether the range that is asked for belongs to what the client has already.

    If-Range has said so; else both its ends must be shared: a client may have what is before
    its start, and may take its stop for the end of all. Raises PreconditionRequired.
    """
    if "If-Range" in request.headers or not request.range:
        return True
    start, stop = request.range.ranges[0]
    ends = [start if start >= 0 else max(0, length + start)]
    ends += [] if stop is None else [min(stop, length)]
    if all(map(is_shared, ends)):
        return True
    if APPENDS_TO_ITS_FILE.match(request.headers.get("User-Agent", "")):
        raise PreconditionRequired("The ZIP has changed since; download it from the start")
    return False


def _range_of(request: Request, length: int) -> Part:
    """Return the one range that is asked for; a suffix may be longer than all (14.1.2)."""
    if request.range is None or len(request.range.ranges) != 1:
        raise RequestedRangeNotSatisfiable(length)
    start, stop = request.range.ranges[0]
    start, stop = start if start >= 0 else max(0, length + start), min(stop or length, length)
    if start >= stop:
        raise RequestedRangeNotSatisfiable(length)
    return Part(start, stop, length)


def _redirect_to_nginx(response: Response, path: str) -> None:
    """Let nginx send the file, and see to ranges itself."""
    response.status_code = 200
    response.response = []
    response.headers["X-Accel-Redirect"] = path
    for name in ("Content-Range", "Content-Length"):
        response.headers.pop(name, None)


def _accel_path(key: str) -> str:
    return quote(key.removeprefix(OUTPUTS))


class _WatchedFile(io.BufferedIOBase):
    """Calls back when the file is closed: who closes it depends on how it is sent."""

    def __init__(self, file: BinaryIO, on_close: Callable[[], object]) -> None:
        self._file, self._on_close = file, on_close

    def fileno(self) -> int:
        """Return the descriptor, for sendfile()."""
        return self._file.fileno()

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; sendfile() does before and after."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file, and call back the first time."""
        if not self.closed:
            self._file.close()
            self._on_close()
        super().close()


def _fill(request: Request, response: Response, file: BinaryIO, part: Part) -> None:
    """Let the server send the file itself (sendfile) when the part reaches to its end."""
    watched = _WatchedFile(file, limit_download(request.environ, part.size))
    file.seek(part.start)
    if part.stop == part.length and _has_descriptor(file):
        response.response = wrap_file(request.environ, cast(BinaryIO, watched), PIECE_SIZE)
        response.direct_passthrough = True  # and the server closes the file
    else:
        response.response = _pieces(watched, part.size)
        response.call_on_close(watched.close)


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except io.UnsupportedOperation:  # an object of a store elsewhere
        return False
    return True


def _pieces(file: _WatchedFile, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(PIECE_SIZE, size))):
        size -= len(piece)
        yield piece
