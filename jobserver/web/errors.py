"""Every error gets its status and its one JSON shape: `{"error": "<sentence>"}`.

An answer carries X-Request-ID, and so do the log lines about it: gunicorn's access line and,
for a 500, the traceback. A client never sees a traceback or a path. That the database or a
folder is not available is logged once while it lasts, not for each request.
"""

import errno
import logging

from flask import Flask, current_app
from flask.logging import default_handler
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from jobserver import errors
from jobserver.brief.errors import BriefError
from jobserver.db import DatabaseUnavailable
from jobserver.fault_log import FaultLog
from jobserver.logs import LineFormatter
from jobserver.web.hot_path import request_id

# The status of each class; a subclass that is not listed has that of its nearest base here, so
# what the database raises has that of Busy, InsufficientStorage or Unavailable, or 500.
STATUS: dict[type[errors.JobserverError], int] = {
    errors.PasswordRequired: 400,
    errors.PasswordTooLong: 400,
    errors.InvalidPassword: 401,
    errors.InvalidToken: 401,
    errors.TooManyAttempts: 429,
    errors.Forbidden: 403,
    errors.KeyNotFound: 404,
    errors.TooManyKeys: 409,
    errors.KeyQueueFull: 429,
    errors.InvalidOption: 400,
    errors.UploadError: 400,
    errors.ClientTooSlow: 408,
    errors.BodyTooLarge: 413,
    errors.InsufficientStorage: 507,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.Conflict: 409,
    errors.IdempotencyKeyReused: 422,
    errors.Unavailable: 503,
}
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
# Our folders are not mounted, mounted read-only, somebody else's, or gone from the network.
NOT_AVAILABLE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE}
)
LOG_FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"  # as gunicorn's own lines
MISTAKE = "The server made a mistake; its log has the request id"


def init_app(app: Flask) -> None:
    """Answer every error of `app` as JSON and name every answer; log in lines."""
    default_handler.setFormatter(LineFormatter(LOG_FORMAT))
    app.extensions["faults"] = FaultLog(app.logger)
    app.after_request(_complete_headers)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(errors.JobserverError, _answer)
    app.register_error_handler(BriefError, _answer_brief)
    app.register_error_handler(OSError, _answer_os_error)
    app.register_error_handler(Exception, _answer_bug)


def status_of(error: errors.JobserverError) -> int:
    """Return the HTTP status of an error; 500 for one that is not a client's to know."""
    return next((STATUS[base] for base in type(error).__mro__ if base in STATUS), 500)


def _answer(error: errors.JobserverError) -> Response:
    status = status_of(error)
    if status == 500:
        return _answer_bug(error)
    sentence = str(error)
    if isinstance(error, DatabaseUnavailable):
        _log(error.__cause__ or error)
    elif isinstance(error, errors.StoreUnreachable):
        _log(error)
        sentence = error.sentence  # the other is for the operator
    response = _json(status, sentence)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.InvalidToken):
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750, 3
    if isinstance(error, errors.InsufficientScope):
        challenge = f'Bearer error="insufficient_scope", scope="{error.scope}"'
        response.headers["WWW-Authenticate"] = challenge
    return response


def _answer_brief(error: BriefError) -> Response:
    """Say which key of a brief is at fault."""
    return _json(400, str(error), path=error.path)


def _answer_http(error: HTTPException) -> Response:
    """Give Flask's own errors our shape, with the headers of their class."""
    response = Response.force_type(error.get_response())
    response.data = current_app.json.dumps({"error": error.description or error.name})
    response.content_type = "application/json"
    return response


def _answer_os_error(error: OSError) -> Response:
    if error.errno in NO_SPACE:
        return _answer(errors.InsufficientStorage())
    if error.errno in TOO_MANY_FILES:
        return _answer(errors.Busy("Too many files are open; try again"))
    if error.errno in NOT_AVAILABLE:
        _log(error)
        return _answer(errors.StorageUnavailable())
    return _answer_bug(error)


def _answer_bug(error: Exception) -> Response:
    current_app.logger.error("request %s failed", request_id(), exc_info=error)
    return _json(500, MISTAKE)


def _json(status: int, sentence: str, **more: str) -> Response:
    body = current_app.json.dumps({"error": sentence, **more})
    return Response(body, status, content_type="application/json")


def _log(error: BaseException) -> None:
    """Log that something of ours is not available, once while it lasts."""
    faults: FaultLog = current_app.extensions["faults"]
    # paths name the upload or the job, so they differ each time
    kind = f"{type(error).__name__} {getattr(error, 'strerror', None) or error}"
    message = f"request {request_id()} failed: {error}"
    faults.seen("request", message, kind=kind, level=logging.ERROR)


def _complete_headers(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"  # a client's bytes are never a page
    return response
