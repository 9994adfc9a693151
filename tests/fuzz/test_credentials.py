"""Tokens and signed links: what was not issued opens nothing, whatever it looks like."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode

from jobserver.auth.links import LinkSigner, signed_text
from jobserver.auth.tokens import TokenSigner
from jobserver.errors import InvalidToken
from tests.fuzz import cases

KEYS = ["key of the fuzz tests"]
TOKENS = TokenSigner(KEYS, "password")
LINKS = LinkSigner(KEYS, "password")
TOKEN = TOKENS.issue()
PATH, EXPIRES, NOW = "/api/jobs/abc", "2000000000", 1_900_000_000.0
SIGNATURE = LINKS.signature(signed_text(PATH, EXPIRES))

TEXTS = st.text(max_size=80)
NEAR = st.text("abcdefgABCDEFG0123456789-_.=\n\0", max_size=80)


def decoded(text: str) -> list[bytes]:
    """What base64 says in each part; several texts say the same: by padding, by bits that do not

    count, by characters that Python passes over (RFC 4648, 3.3 and 3.5).
    """
    parts = []
    for part in text.split("."):
        try:
            parts.append(base64_decode(re.sub(r"[^A-Za-z0-9_-]", "", part)))
        except (BadData, UnicodeError):
            parts.append(b"no base64")
    return parts


def edits(text: str) -> st.SearchStrategy[str]:
    """A text that is another one after some of it was replaced."""
    cut = st.integers(0, len(text))
    made = st.tuples(cut, cut, TEXTS | NEAR).map(
        lambda edit: text[: min(edit[:2])] + edit[2] + text[max(edit[:2]) :]
    )
    return made.filter(lambda other: other.isascii() and decoded(other) != decoded(text))


def other_than(text: str) -> st.SearchStrategy[str]:
    return (TEXTS | NEAR | st.integers().map(str)).filter(lambda other: other != text)


def test_what_was_issued_is_valid() -> None:
    assert TOKENS.verify(TOKEN).issued_at > 0
    assert LINKS.is_valid(PATH, EXPIRES, SIGNATURE, now=NOW)


@cases(500)
@given(TEXTS | NEAR | edits(TOKEN))
@example("." + TOKEN)
def test_no_other_text_is_a_token(text: str) -> None:
    assume(decoded(text) != decoded(TOKEN))
    with pytest.raises(InvalidToken):
        TOKENS.verify(text)


@cases(500)
@given(TEXTS | NEAR | edits(SIGNATURE))
@example("\udcff")
def test_no_other_text_is_a_signature(signature: str) -> None:
    assume(decoded(signature) != decoded(SIGNATURE))
    assert not LINKS.is_valid(PATH, EXPIRES, signature, now=NOW)


@cases(300)
@given(other_than(PATH), other_than(EXPIRES))
@example("/api/jobs/abc?2000000000", "")
def test_a_signature_holds_for_one_path_and_one_end(path: str, expires: str) -> None:
    assert not LINKS.is_valid(path, EXPIRES, SIGNATURE, now=NOW)
    assert not LINKS.is_valid(PATH, expires, SIGNATURE, now=NOW)


@cases(200)
@given(st.floats(min_value=0, max_value=1e12))
def test_a_link_is_open_until_its_end_and_no_longer(now: float) -> None:
    assert LINKS.is_valid(PATH, EXPIRES, SIGNATURE, now=now) == (now <= int(EXPIRES))
