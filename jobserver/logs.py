"""One event, one line: what a client writes into a log stays a part of its line.

Names, paths and headers come from clients, and the texts of exceptions quote them. Whatever a
terminal or a reader of lines takes for more than a letter is escaped as in a Python string.
On a terminal a line is for people, elsewhere a JSON object, unless LOG_FORMAT says otherwise.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# What a record may say beside its message, as `extra`, or of a request: no other name is written.
FIELDS = (
    *("request", "client", "method", "path", "route", "status", "seconds", "bytes"),
    *("job", "file", "key", "worker", "attempt", "outputs", "frames", "reason"),
)
SET_IN = "    "  # before each line of a traceback: no record begins so


def one_line(text: str) -> str:
    """Return the text with line breaks, control characters and invisible ones escaped."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if letter.isprintable() and letter != "\\":
        return letter
    return letter.encode("unicode_escape").decode("ascii")


class LineFormatter(logging.Formatter):
    """Formats a record as one line, times in UTC; the lines of a traceback are set in."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time of a record; made once a second."""
        return _second(int(record.created))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        """Return the lines of a traceback."""
        return _set_in(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:
        """Return the lines of a stack."""
        return _set_in(super().formatStack(stack_info))


@lru_cache(maxsize=8)
def _second(moment: int) -> str:
    return time.strftime(TIME_FORMAT, time.gmtime(moment))


def _set_in(lines: str) -> str:
    return "\n".join(SET_IN + one_line(line) for line in lines.split("\n"))


LogFormat = Literal["auto", "json", "plain"]


def is_json(wanted: LogFormat) -> bool:
    """Return whether lines are JSON: not on a terminal."""
    return wanted == "json" or (wanted == "auto" and not sys.stderr.isatty())


def formatter(wanted: LogFormat, plain: str) -> logging.Formatter:
    """Return what formats records. plain: the format of lines for people."""
    return JsonFormatter() if is_json(wanted) else LineFormatter(plain)


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line, in ASCII; a traceback is a text in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": record.process,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in FIELDS if vars(record).get(name) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str)
