"""One event, one line, whatever texts it quotes."""

import io
import logging
import re

import pytest

from jobserver.logs import LineFormatter, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("clip of the 3rd, 視 é 🎬.mp4", "clip of the 3rd, 視 é 🎬.mp4"),
        ("a\nb\rc\td\0e\x7f", r"a\nb\rc\td\x00e\x7f"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u2028\u2029\x85\x0b\x0c", r"\u2028\u2029\x85\x0b\x0c"),
        ("exe.\u202e4pm\u200b\ufeff", r"exe.\u202e4pm\u200b\ufeff"),
        ("\udcff", r"\udcff"),
        (r"already \n", r"already \\n"),
    ],
)
def test_what_is_more_than_a_letter_is_escaped(text: str, line: str) -> None:
    assert one_line(text) == line
    assert len(line.splitlines()) == 1


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(written: io.StringIO) -> logging.Logger:
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    return log


FORGED = "x.mp4\n2027-01-15T08:00:00Z WARNING all is lost\u2028\x1b[31m"


def test_a_record_is_one_line_with_its_time(log: logging.Logger, written: io.StringIO) -> None:
    log.warning("cannot read %s", FORGED)
    (line,) = written.getvalue().splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING cannot read x\.mp4\\n2027", line)
    assert line.endswith(r"all is lost\u2028\x1b[31m")


def test_no_line_of_a_traceback_looks_like_a_record(
    log: logging.Logger, written: io.StringIO
) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("failed", stack_info=True)
    first, *rest = written.getvalue().split("\n")[:-1]
    assert first.endswith("Z ERROR failed")
    assert any("Traceback" in line for line in rest)
    assert any("ValueError: x.mp4" in line for line in rest)
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
