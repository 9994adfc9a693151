"""Every error gets its status and its one JSON shape: `{"error": "<sentence>", "code": "<code>"}`.

`error_codes.py` has the table of codes and statuses.

An answer carries X-Request-ID, and so do the log lines about it: gunicorn's access line and,
for a 500, the traceback. A client never sees a traceback or a path. That the database or a
folder is not available is logged once while it lasts, not for each request.
"""

import errno
import logging

from flask import Flask, current_app, g, request
from flask.logging import default_handler
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from jobserver import errors
from jobserver.brief.errors import BriefError
from jobserver.db import DatabaseUnavailable
from jobserver.fault_log import FaultLog
from jobserver.logs import formatter
from jobserver.serving.log import TRACE, Trace
from jobserver.web.error_codes import CODES, code_of, code_of_status
from jobserver.web.hot_path import request_id

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
    wanted = app.extensions["settings"].log_format
    default_handler.setFormatter(formatter(wanted, LOG_FORMAT))
    app.extensions["faults"] = FaultLog(app.logger)
    app.after_request(_complete_headers)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(errors.JobserverError, _answer)
    app.register_error_handler(BriefError, _answer_brief)
    app.register_error_handler(OSError, _answer_os_error)
    app.register_error_handler(Exception, _answer_bug)


def _answer(error: errors.JobserverError) -> Response:
    code = code_of(type(error))
    if code is None:
        return _answer_bug(error)
    sentence = str(error)
    if isinstance(error, DatabaseUnavailable):
        _log(error.__cause__ or error)
    elif isinstance(error, errors.StoreUnreachable):
        _log(error)
        sentence = error.sentence  # the other is for the operator
    response = _json(code, sentence)
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
    return _json("invalid_brief", str(error), path=error.path)


def _answer_http(error: HTTPException) -> Response:
    """Give Flask's own errors our shape, with the headers of their class."""
    response = Response.force_type(error.get_response())
    code = code_of(type(error)) or code_of_status(response.status_code)
    response.data = _body(error.description or error.name, code)
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
    current_app.logger.error(
        "request %s failed", request_id(), exc_info=error, extra={"request": request_id()}
    )
    return _json("internal_error", MISTAKE)


def _json(code: str, sentence: str, **more: str) -> Response:
    body = _body(sentence, code, **more)
    return Response(body, CODES[code].status, content_type="application/json")


def _body(sentence: str, code: str, **more: str) -> str:
    return current_app.json.dumps({"error": sentence, "code": code, **more})


def _log(error: BaseException) -> None:
    """Log that something of ours is not available, once while it lasts."""
    faults: FaultLog = current_app.extensions["faults"]
    # paths name the upload or the job, so they differ each time
    kind = f"{type(error).__name__} {getattr(error, 'strerror', None) or error}"
    message = f"request {request_id()} failed: {error}"
    faults.seen("request", message, kind=kind, level=logging.ERROR)


def _complete_headers(response: Response) -> Response:
    rule, values = request.url_rule, request.view_args or {}
    bearer = g.get("bearer")
    request.environ[TRACE] = Trace(
        None if rule is None else rule.rule,
        job_id=values.get("job_id"),
        key_id=None if bearer is None else bearer.key_id,
    )
    response.headers["X-Request-ID"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"  # a client's bytes are never a page
    return response
