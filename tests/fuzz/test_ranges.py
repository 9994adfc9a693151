"""Range headers, of any text: exactly the part that is asked for, all of it, or a 416."""

import re
from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from jobserver.files.zip import Archive, text_member
from jobserver.web.downloads import send_archive
from tests.fuzz import cases

CONTENT = bytes(range(256)) * 4
MEMBER = text_member("a", CONTENT, 0)
with_archive = Archive([MEMBER])
WHOLE = b"".join(with_archive.read(0, with_archive.length))
LENGTH = len(WHOLE)

NUMBERS = st.integers(0, LENGTH + 3) | st.integers(0, 10**30)
PLACES = st.none() | NUMBERS
ONE = st.tuples(PLACES, PLACES)


def text_of(pair: tuple[int | None, int | None]) -> str:
    return "-".join("" if place is None else str(place) for place in pair)


def ask(headers: Mapping[str, str], method: str = "GET") -> tuple[int, Mapping[str, str], bytes]:
    environ = EnvironBuilder(method=method).get_environ()
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
    try:
        response: Response = send_archive(
            Request(environ), Archive([MEMBER]), {}, is_shared=lambda _place: True
        )
    except HTTPException as error:
        found = Response.force_type(error.get_response())
        return found.status_code, found.headers, b""
    body = b"".join(response.response)  # type: ignore[arg-type]
    response.close()
    return response.status_code, response.headers, body


def check_answer(status: int, headers: Mapping[str, str], body: bytes) -> None:
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers["Content-Range"])
        assert found is not None
        first, last, length = map(int, found.groups())
        assert (body, length) == (WHOLE[first : last + 1], LENGTH)
        assert len(body) == last - first + 1 > 0
    elif status == 416:
        assert headers["Content-Range"] == f"bytes */{LENGTH}"
    else:
        assert (status, body) == (200, WHOLE)
    assert status == 416 or int(headers["Content-Length"]) == len(body)


@cases(300)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
@example("bytes=")
@example("bytes=-0")
@example("bytes=\u0661-\u0662")
@example("bytes=0-" + "9" * 5000)
@example("bytes=" + "0-1," * 2000)
def test_any_text_gets_a_right_part_all_or_a_416(text: str) -> None:
    for value in (text, f"bytes={text}"):
        check_answer(*ask({"Range": value}))


@cases(400)
@given(ONE)
def test_one_range_is_what_the_rfc_says(pair: tuple[int | None, int | None]) -> None:
    """RFC 9110, 14.1.2, in its own words."""
    first, last = pair
    status, headers, body = ask({"Range": f"bytes={text_of(pair)}"})
    check_answer(status, headers, body)
    if first is None:
        expected = WHOLE[-last:] if last else b""  # a suffix of no bytes cannot be satisfied
    elif last is not None and last < first:
        expected = b""  # invalid
    else:
        expected = WHOLE[first : LENGTH if last is None else last + 1]
    assert (status, body) == ((206, expected) if expected else (416, b""))


@cases(100)
@given(ONE, st.sampled_from(["HEAD", "POST"]), st.text('ab"W/*', max_size=8))
def test_only_get_with_the_same_bytes_has_ranges(
    pair: tuple[int | None, int | None], method: str, tag: str
) -> None:
    value = f"bytes={text_of(pair)}"
    status, _, _ = ask({"Range": value}, method)
    assert status == 200
    status, _, body = ask({"Range": value, "If-Range": tag})
    assert (status, body) == (200, WHOLE)
