"""Every client mistake as a class; the one JSON error handler.

An answer carries X-Request-ID, and so do the log lines about it: gunicorn's access line
and, for a 500, the traceback. A client is never shown a traceback or a path.
"""

import errno
import random
import sqlite3
from typing import Any

from flask import Flask, current_app, g
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Gone,
    HTTPException,
    InternalServerError,
    NotFound,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)
from werkzeug.wrappers import Response


def in_words(size: int) -> str:
    """Return bytes as people say them, rounded down: `500 MB`, `20 KB`, `7 bytes`."""
    for unit, bytes_each in (("MB", 1024 * 1024), ("KB", 1024)):
        if size >= bytes_each:
            return f"{size // bytes_each} {unit}"
    return f"{size} bytes"


class PasswordRequired(BadRequest):
    description = "Password required"


class PasswordTooLong(BadRequest):
    description = "Password too long"


class InvalidPassword(Unauthorized):
    description = "Invalid password"


class TooManyAttempts(TooManyRequests):
    description = "Too many wrong passwords; try again later"


class AuthorizationRequired(Unauthorized):
    description = "Authorization required"


class InvalidToken(Unauthorized):
    description = "Invalid or expired token"


class InsufficientStorage(HTTPException):
    code = 507
    description = "Not enough disk space for this upload"


class JobNotFound(NotFound):
    description = "Job not found"


class JobExpired(Gone):
    description = "The job has expired"


class OutputNotFound(NotFound):
    description = "Output not found"


class OutputGone(Gone):
    description = "The file is gone"


class NothingYet(Conflict):
    description = "No variation of the job is ready yet"


class LargerThanQuota(InsufficientStorage):
    """An upload that would not fit if everything else went."""

    def __init__(self, quota: int) -> None:
        super().__init__(f"This upload is larger than the whole storage ({in_words(quota)})")


class QuotaExceeded(InsufficientStorage):
    """Work that waits or runs fills the storage; it makes room when it has ended."""

    description = "The storage is full of jobs that wait or run; try again"

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Add Retry-After: rendering takes minutes rather than seconds."""
        return [*super().get_headers(*args, **kwargs), ("Retry-After", "60")]


class JobEnded(Conflict):
    description = "The job has ended"


class NothingToRetry(Conflict):
    description = "No file of the job has failed or was cancelled"


class InvalidOrder(BadRequest):
    """A `recipe` or `seed` that cannot be used."""


class InvalidPage(BadRequest):
    """A `limit` or `before` of the job list that cannot be used."""


class NoVideos(BadRequest):
    description = "No video files uploaded"


class NotAnMP4(BadRequest):
    description = "Only MP4 files are accepted"


class EmptyFile(BadRequest):
    description = "A video file is empty"


class UnexpectedPart(BadRequest):
    """A form part that has no place in an upload."""


class MalformedBody(BadRequest):
    description = "The multipart body is malformed or incomplete"


class ClientGone(BadRequest):
    description = "The connection ended before the whole body arrived"


class ClientTooSlow(RequestTimeout):
    description = "The body did not arrive in time"


class TooManyFiles(BadRequest):
    def __init__(self, max_files: int) -> None:
        super().__init__(f"Too many files (at most {max_files})")


class FileTooLarge(RequestEntityTooLarge):
    def __init__(self, max_size: int) -> None:
        super().__init__(f"File too large (at most {in_words(max_size)})")


class BodyTooLarge(RequestEntityTooLarge):
    """More bytes than any accepted request can have."""


class StorageUnavailable(ServiceUnavailable):
    """A folder is gone, read-only, or holds the files of another database."""

    description = "The folder for uploads or outputs is not available"


class Busy(ServiceUnavailable):
    """Something is in use by others for the moment; the client may repeat the request."""

    def __init__(self, description: str, retry_after: int = 5) -> None:
        super().__init__(description, retry_after=retry_after)


class DatabaseUnavailable(ServiceUnavailable):
    description = "The database is not available"


UNUSABLE = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB}
)
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
# Our folders are not mounted, mounted read-only, somebody else's, or gone from the network.
NOT_AVAILABLE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE}
)


def init_app(app: Flask) -> None:
    """Answer every error of `app` as JSON and name every answer."""
    app.after_request(_show_request_id)
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(sqlite3.Error, _answer_database_error)
    app.register_error_handler(OSError, _answer_os_error)
    app.register_error_handler(Exception, _answer_bug)


def answer(error: HTTPException) -> Response:
    """Give an error its shape: `{"error": "<sentence>"}` with the headers of its class."""
    response = Response.force_type(error.get_response())
    response.data = current_app.json.dumps({"error": error.description or error.name})
    response.content_type = "application/json"
    return response


def request_id() -> str:
    """Return the id of the current request, 16 hexadecimal digits; made when first asked for.

    It guards nothing, so it is not worth the system call of a secret one, at which a thread
    lets go of the interpreter. `random` is seeded anew in each forked worker.
    """
    if "request_id" not in g:
        g.request_id = f"{random.getrandbits(64):016x}"
    return str(g.request_id)


def _show_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    return response


def _answer_database_error(error: sqlite3.Error) -> Response:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF  # https://sqlite.org/rescode.html#pve
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return answer(Busy("The database is busy; try again"))
    if primary in UNUSABLE:
        current_app.logger.error("request %s failed: %s", request_id(), error)
        return answer(DatabaseUnavailable())
    if primary == sqlite3.SQLITE_FULL:
        return answer(InsufficientStorage("The database's disk is full"))
    return _answer_bug(error)


def _answer_os_error(error: OSError) -> Response:
    if error.errno in NO_SPACE:
        return answer(InsufficientStorage())
    if error.errno in TOO_MANY_FILES:
        return answer(Busy("Too many files are open; try again"))
    if error.errno in NOT_AVAILABLE:
        current_app.logger.error("request %s failed: %s", request_id(), error)
        return answer(StorageUnavailable())
    return _answer_bug(error)


def _answer_bug(error: Exception) -> Response:
    current_app.logger.error("request %s failed", request_id(), exc_info=error)
    return answer(InternalServerError("The server made a mistake; its log has the request id"))
