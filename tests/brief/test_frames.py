"""Sizes and rates of frames."""

from fractions import Fraction

import pytest

from jobserver.brief.frames import exact_fps, frame_size, joined_fps
from jobserver.brief.model import Format

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("shape", "short", "size"),
    [
        ("9:16", 1080, (1080, 1920)),
        ("4:5", 1080, (1080, 1350)),
        ("1:1", 1080, (1080, 1080)),
        ("16:9", 1080, (1920, 1080)),
        ("9:16", 361, (362, 644)),
        ("4:5", 362, (362, 452)),
        ("16:9", 360, (640, 360)),
        ("source", 360, (640, 482)),
    ],
)
def test_a_frame_has_even_sides_in_its_shape(shape: Format, short: int, size: tuple[int, int]):
    assert frame_size(shape, short, displayed=(639, 481)) == size


@pytest.mark.parametrize(
    ("written", "fps"),
    [
        (29.97, NTSC),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        (30, Fraction(30)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (10, Fraction(10)),
    ],
)
def test_a_decimal_means_the_rate_that_cameras_have(written: float, fps: Fraction):
    assert exact_fps(written) == fps


@pytest.mark.parametrize(
    ("rates", "fps"),
    [
        ([Fraction(25), Fraction(30), Fraction(25)], 25),
        ([Fraction(25), Fraction(30)], 30),
        ([NTSC, Fraction(30), NTSC], NTSC),
        ([None, None, Fraction(24)], 24),
        ([Fraction(240)], 120),
        ([Fraction(5)], 10),
        ([None], 30),
        ([], 30),
    ],
)
def test_joined_outputs_have_the_rate_of_most_main_clips(
    rates: list[Fraction | None], fps: Fraction
):
    assert joined_fps(None, rates) == fps
    assert joined_fps(50, rates) == 50
