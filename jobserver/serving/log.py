"""gunicorn's logs with a line for each event, which no client can forge or split.

The line of a request is here alone: no other part of jobserver logs that one was answered.
"""

import logging
from typing import Any, NamedTuple

from gunicorn.glogging import Logger

from jobserver import metrics
from jobserver.logs import JsonFormatter, LineFormatter, one_line

ACCESS_FORMAT = '%(h)s "%(m)s %(U)s" %(s)s %(B)s %(M)sms %({x-request-id}o)s'


TRACE = "jobserver.trace"  # in the WSGI environment


class Trace(NamedTuple):
    """What the app says about a request. route: its rule; None for a path that is nobody's."""

    route: str | None = None
    job_id: str | None = None
    key_id: str | None = None


UNTRACED = Trace()


class EscapedAtoms(dict[str, Any]):
    """The values of one access line by their names in gunicorn's access_log_format."""

    def __getitem__(self, name: str) -> Any:
        value = self.get(name.lower() if name.startswith("{") else name, "-")
        return _escaped(value) if isinstance(value, str) else value


class LineLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger; every line begins with its time in UTC."""

    atoms_wrapper_class = EscapedAtoms
    as_json = False  # set before gunicorn makes one
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    access_fmt = "%(asctime)s %(message)s"

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        """Return what an access line may name; the path as it was sent, without its query."""
        values: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        values["U"] = environ["RAW_URI"].partition("?")[0]
        return values

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Count a request, and write one line: whatever its answer was, it ends here.

        For our own format without the 60 values that it does not name.
        """
        _count(resp, environ, request_time)
        if self.cfg.access_log_format != ACCESS_FORMAT:
            super().access(resp, req, environ, request_time)
        elif self.access_log_enabled:
            # As access_log.info() does, but without looking for the caller.
            values = {"name": self.access_log.name, "levelno": logging.INFO, "levelname": "INFO"}
            if self.as_json:
                values |= {"msg": "request", **_access_fields(resp, environ, request_time)}
            else:
                values["msg"] = _access_line(resp, environ, request_time)
            self.access_log.handle(logging.makeLogRecord(values))

    def _set_handler(self, log: Any, output: Any, fmt: Any, stream: Any = None) -> None:
        made: logging.Formatter = LineFormatter(self.error_fmt)
        if self.as_json:
            made = JsonFormatter()
        elif log is self.access_log:
            made = _AccessFormatter(self.access_fmt)
        super()._set_handler(log, output, made, stream)


class _AccessFormatter(LineFormatter):
    """The values in an access line are escaped already, their quotes too."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return logging.Formatter.formatMessage(self, record)


def _count(resp: Any, environ: Any, request_time: Any) -> None:
    trace: Trace = environ.get(TRACE, UNTRACED)
    metrics.request_ended(
        environ.get("REQUEST_METHOD", ""),
        trace.route,
        status=_status(resp),
        seconds=request_time.total_seconds(),
        received=getattr(environ.get("wsgi.input"), "received", 0),
        sent=_sent(resp, environ),
    )


def _sent(resp: Any, environ: Any) -> int:
    """Return the bytes of an answer, also those that the kernel sent from a file."""
    count: int = resp.sent + getattr(environ.get("gunicorn.socket"), "file_bytes", 0)
    return count


def _status(resp: Any) -> int:
    """Return the status of an answer; 0 of one whose status the app has not said."""
    status = str(resp.status).partition(" ")[0]
    return int(status) if status.isdecimal() else 0


def _access_fields(resp: Any, environ: Any, request_time: Any) -> dict[str, Any]:
    """Return what a JSON line says of a request; never its query, which may be a signed link."""
    trace: Trace = environ.get(TRACE, UNTRACED)
    return {
        "request": _request_id(resp),
        "client": environ.get("REMOTE_ADDR"),
        "method": environ["REQUEST_METHOD"],
        "path": environ["RAW_URI"].partition("?")[0],
        "route": trace.route,
        "job": trace.job_id,
        "key": trace.key_id,
        "status": _status(resp),
        "seconds": round(request_time.total_seconds(), 3),
        "bytes": _sent(resp, environ),
    }


def _request_id(resp: Any) -> str | None:
    return next((value for name, value in resp.headers if name == "X-Request-ID"), None)


def _access_line(resp: Any, environ: Any, request_time: Any) -> str:
    """Return what ACCESS_FORMAT makes of a request."""
    status = str(resp.status).partition(" ")[0]
    request_id = _request_id(resp) or "-"
    ms = request_time.seconds * 1000 + request_time.microseconds // 1000
    host, method = _escaped(environ.get("REMOTE_ADDR", "-")), _escaped(environ["REQUEST_METHOD"])
    path = _escaped(environ["RAW_URI"].partition("?")[0])
    return f'{host} "{method} {path}" {status} {_sent(resp, environ)} {ms}ms {_escaped(request_id)}'


def _escaped(value: str) -> str:
    """Return a value as ASCII without line breaks; a quote does not end it."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return one_line(value).replace('"', '\\"').encode("ascii", "backslashreplace").decode("ascii")
