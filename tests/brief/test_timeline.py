"""Shots and timelines of a plan."""

from dataclasses import replace
from fractions import Fraction

import pytest

from jobserver.brief.model import Headline, Logo
from jobserver.brief.timeline import Appearance, Shot, SoundShape

APPEARANCE = Appearance(
    width=1080,
    height=1920,
    format="9:16",
    fit="blur",
    pad_color="#000000",
    focus=(0.5, 0.5),
    fps=Fraction(30),
)
SHOT = Shot(role="hook", source=0, picture=APPEARANCE)


def test_equal_shots_have_the_key_of_each_other():
    again = Shot(role="hook", source=0, picture=replace(APPEARANCE, fps=Fraction(60, 2)))
    assert (again, again.key) == (SHOT, SHOT.key)
    assert len(SHOT.key) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"width": 1082},
        {"fps": None},
        {"fps": Fraction(30000, 1001)},
        {"speed": 1.5},
        {"mirror": True},
        {"look": (("zoom", 0.01),)},
        {"headline": Headline("New")},
        {"logo": Logo("logo.png")},
        {"seconds": 3.0},
        {"keyframes": (3.0,)},
    ],
)
def test_whatever_changes_the_picture_changes_the_key(change: dict[str, object]):
    assert replace(SHOT, picture=replace(APPEARANCE, **change)).key != SHOT.key


def test_another_source_or_role_or_sound_is_another_shot():
    sound = Shot(role="hook", source=0, sound=SoundShape())
    others = [replace(SHOT, source=1), replace(SHOT, role="ending"), sound]
    assert len({shot.key for shot in [SHOT, *others]}) == 4
