"""One event, one line: what a client writes into a log stays a part of its line.

Names, paths and headers come from clients, and the texts of exceptions quote them. Whatever a
terminal or a reader of lines takes for more than a letter is escaped as in a Python string.
"""

import logging
import time
from functools import lru_cache

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
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
