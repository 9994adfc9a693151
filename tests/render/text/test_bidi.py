"""Directions, against the library that Pillow uses for a line of one font (FriBidi)."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFont

from jobserver.render.text.bidi import base_level, levels, visual_order

from .conftest import font_file

SIZE = 20
FACE = ImageFont.truetype(font_file("rubik"), SIZE)
PLAIN = ["-kern", "-liga", "-calt", "-rlig"]  # what depends on neighbours beyond joined letters
LETTERS = "ab \u05d0\u05d1 \u0627\u0628 12 ().,%+-/["


def drawn(pieces: list[tuple[str, str]]) -> Image.Image:
    """Draw pieces of text beside each other from left to right; each has a direction."""
    picture, x = Image.new("L", (SIZE * 16, SIZE * 2)), float(SIZE)
    for text, direction in pieces:
        ImageDraw.Draw(picture).text(
            (x, SIZE * 1.4),
            text,
            fill=255,
            font=FACE,
            anchor="ls",
            direction=direction,
            features=PLAIN,
        )
        x += FACE.getlength(text, direction=direction, features=PLAIN)
    return picture


def in_runs(text: str, base: int) -> list[tuple[str, str]]:
    """Return the runs of one level from left to right."""
    runs: list[tuple[int, str]] = []
    for character, level in zip(text, levels(text, base), strict=True):
        if runs and runs[-1][0] == level:
            runs[-1] = (level, runs[-1][1] + character)
        else:
            runs.append((level, character))
    return [
        (runs[n][1], "rtl" if runs[n][0] % 2 else "ltr")
        for n in visual_order([level for level, _ in runs])
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.text(LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool), st.sampled_from((0, 1))
)
@example("\u05d0 (a) 12%", 1)
@example("a \u0627 12, 1.2", 0)
@example("\u0628 12-12 (\u05d0 b)", 1)
def test_runs_lie_where_the_library_lays_them(text: str, base: int) -> None:
    whole = drawn([(text, "rtl" if base else "ltr")])
    pieces = drawn(in_runs(text, base))
    # Runs begin at fractions of a pixel, so edges may differ by a shade.
    difference = ImageChops.difference(whole, pieces).histogram()
    assert sum(difference[128:]) <= 0.1 * sum(whole.histogram()[128:]), in_runs(text, base)


@pytest.mark.parametrize(
    ("text", "level"),
    [("abc \u05d0", 0), ("12 \u05d0 abc", 1), ("\u0628 abc", 1), ("12 %", 0), ("", 0)],
)
def test_a_paragraph_has_the_direction_of_its_first_letter(text: str, level: int) -> None:
    assert base_level(text) == level


def test_spaces_at_the_end_belong_to_the_line() -> None:
    assert levels("\u05d0  ", 0) == [1, 0, 0]
