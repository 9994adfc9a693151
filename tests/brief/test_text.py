"""Characters of a client's text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.brief.text import MAX_LINES, problem


@pytest.mark.parametrize(
    "text",
    [
        "Only today: 50 % off!",
        "it's \\ %{pts} ' : ; , [a]",
        "two\nlines",
        "שלום",
        "مرحبا",
        "می‌خواهم",
        "नमस्ते",
        "e\u0301",
        "\U0001f468\u200d\U0001f469",
        "日本語",
        "x" * 500,
    ],
)
def test_text_of_every_script_is_taken(text: str):
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\0b", "U+0000"),
        ("a\tb", "U+0009"),
        ("a\r\nb", "U+000D"),
        ("a\x1b[0m", "U+001B"),
        ("a\x7f", "U+007F"),
        ("a\x85", "U+0085"),
        ("user\u202egnp.exe", "U+202E"),
        ("a\u2066b\u2069", "U+2066"),
        ("a\u2028b", "U+2028"),
        ("\ufeffa", "U+FEFF"),
        ("a\xadb", "U+00AD"),
        ("a\ue000", "U+E000"),
        ("a\U000e0041", "U+E0041"),
        ("a\ud800", "U+D800"),
        ("a\uffff", "U+FFFF"),
        ("a\ufdd0", "U+FDD0"),
    ],
)
def test_what_is_not_seen_is_refused_by_its_code(text: str, code: str):
    assert problem(text) == f"has the character {code}, which cannot be drawn"


@pytest.mark.parametrize("text", ["", " ", "\n \n", "\u3000"])
def test_a_text_of_spaces_is_blank(text: str):
    assert problem(text) == "is blank"


@given(st.text(st.characters(categories=["Cc", "Cf"], exclude_characters="\n"), min_size=1))
def test_no_control_or_format_character_passes_but_those_that_shape_words(text: str):
    if problem(text) is None:
        assert set(text) <= set("\u200c\u200d\u200e\u200f\u061c")
        assert all(unicodedata.category(each) == "Cf" for each in text)


def test_a_text_of_more_lines_than_fit_is_refused():
    assert problem("\n".join("x" * MAX_LINES)) is None
    assert problem("\n".join("x" * (MAX_LINES + 1))) == "has 16 lines; at most 15 fit"
