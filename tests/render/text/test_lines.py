"""Where lines end, and the runs of each."""

import pytest

from jobserver.render.text import load_fonts
from jobserver.render.text.lines import lines


def broken(text, fonts, width):
    """Break a text whose characters are all one unit wide; return the texts of the lines."""
    found = lines(text, fonts, width, lambda run: len(run.text))
    return ["".join(run.text for run in line) for line in found]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("only this week", 9, ["only this", "week"]),
        ("only this week", 14, ["only this week"]),
        ("  spaces   around  ", 6, ["spaces", "around"]),
        ("a b c d", 1, ["a", "b", "c", "d"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        ("an unbreakable word", 4, ["an", "unbr", "eaka", "ble", "word"]),
        ("half-price", 6, ["half-", "price"]),
        ("from -20 to", 6, ["from", "-20 to"]),
        ("no\u00a0break here", 8, ["no\u00a0break", "here"]),
        ("one\ntwo\r\n\nthree", 9, ["one", "two", "", "three"]),
        ("tab\there", 9, ["tab here"]),
        ("ae\u0301\u0302\u0303b", 1, ["a", "\u00e9\u0302\u0303", "b"]),
        ("x" * 500, 30, ["x" * 30] * 16 + ["x" * 20]),
    ],
)
def test_lines_end_between_words_where_they_can(bundled, text, width, expected):
    assert broken(text, bundled, width) == expected


def test_every_character_is_on_a_line_once(bundled):
    text = "It\u2019s 50% off (really): a-b, c/d \u2014 " * 5
    for width in range(1, 40):
        assert "".join(broken(text, bundled, width)).replace(" ", "") == text.replace(" ", "")


def test_runs_of_two_directions_are_in_the_sequence_of_the_eye(fonts_dir):
    fonts = load_fonts(fonts_dir("rubik"))
    [line] = lines("\u05d0\u05d1 abc \u05d2", fonts, 99, lambda run: len(run.text))
    assert [(run.text, run.rtl) for run in line] == [
        (" \u05d2", True),
        ("abc", False),
        ("\u05d0\u05d1 ", True),
    ]


def test_a_line_of_two_scripts_is_drawn_with_two_fonts(fonts_dir):
    fonts = load_fonts(fonts_dir("devanagari"))
    [line] = lines("\u03a9 \u0916", fonts, 99, lambda run: len(run.text))
    assert [run.font.path.stem for run in line] == ["NotoSans-Bold", "devanagari"]


def test_a_line_has_the_direction_of_its_paragraph(fonts_dir):
    """The second line begins with a number and Latin letters, but is read from the right."""
    fonts = load_fonts(fonts_dir("rubik"))
    found = lines("\u05d0\u05d1\u05d2 12 ab", fonts, 5, lambda run: len(run.text))
    assert [[(run.text, run.rtl) for run in line] for line in found] == [
        [("\u05d0\u05d1\u05d2", True)],
        [("ab", False), (" ", True), ("12", False)],
    ]
