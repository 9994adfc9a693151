"""gunicorn's logs with a line for each event, which no client can forge or split."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from jobserver.logs import LineFormatter, one_line

ACCESS_FORMAT = '%(h)s "%(m)s %(U)s" %(s)s %(B)s %(M)sms %({x-request-id}o)s'


class EscapedAtoms(dict[str, Any]):
    """The values of one access line by their names in gunicorn's access_log_format."""

    def __getitem__(self, name: str) -> Any:
        value = self.get(name.lower() if name.startswith("{") else name, "-")
        return _escaped(value) if isinstance(value, str) else value


class LineLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger; every line begins with its time in UTC."""

    atoms_wrapper_class = EscapedAtoms
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    access_fmt = "%(asctime)s %(message)s"

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        """Return what an access line may name; the path as it was sent, without its query."""
        values: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        values["U"] = environ["RAW_URI"].partition("?")[0]
        return values

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write one line. For our own format, without the 60 values that it does not name."""
        if self.cfg.access_log_format != ACCESS_FORMAT:
            super().access(resp, req, environ, request_time)
        elif self.access_log_enabled:
            line = _access_line(resp, environ, request_time)
            # As access_log.info() does, but without looking for the caller.
            values = {"name": self.access_log.name, "levelno": logging.INFO, "msg": line}
            self.access_log.handle(logging.makeLogRecord(values))

    def _set_handler(self, log: Any, output: Any, fmt: Any, stream: Any = None) -> None:
        fmt = _AccessFormatter if log is self.access_log else LineFormatter
        text = self.access_fmt if log is self.access_log else self.error_fmt
        super()._set_handler(log, output, fmt(text), stream)


class _AccessFormatter(LineFormatter):
    """The values in an access line are escaped already, their quotes too."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return logging.Formatter.formatMessage(self, record)


def _access_line(resp: Any, environ: Any, request_time: Any) -> str:
    """Return what ACCESS_FORMAT makes of a request."""
    status = str(resp.status).partition(" ")[0]
    request_id = next((value for name, value in resp.headers if name == "X-Request-ID"), "-")
    ms = request_time.seconds * 1000 + request_time.microseconds // 1000
    host, method = _escaped(environ.get("REMOTE_ADDR", "-")), _escaped(environ["REQUEST_METHOD"])
    path = _escaped(environ["RAW_URI"].partition("?")[0])
    return f'{host} "{method} {path}" {status} {resp.sent} {ms}ms {_escaped(request_id)}'


def _escaped(value: str) -> str:
    """Return a value as ASCII without line breaks; a quote does not end it."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return one_line(value).replace('"', '\\"').encode("ascii", "backslashreplace").decode("ascii")
