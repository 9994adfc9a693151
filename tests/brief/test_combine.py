"""Which combinations are made of one main clip."""

from itertools import product

import pytest

from jobserver.brief.combine import VARIED, combined, exclusions_of, fewest, space_of, values_of
from jobserver.brief.model import Brief, Combine, Exclusion, Headline

TWO = {"hooks": (None, "a.mp4"), "lengths": ("full", 6), "formats": ("1:1", "9:16", "4:5")}


def made(brief: Brief, video: str = "clip.mp4") -> list[dict[str, object]]:
    """Return what varies of each combination, by axis."""
    space = space_of(brief, exclusions_of(brief, video))
    assert space is not None
    values = values_of(brief)
    rows = combined(brief, space)
    assert brief.combine == "pairs" or fewest(brief, space) == len(rows)
    return [
        {
            axis: values[axis][n]
            for axis, n in zip(VARIED, row, strict=True)
            if len(values[axis]) > 1
        }
        for row in rows
    ]


def test_all_are_all_and_the_first_axis_changes_slowest():
    rows = [tuple(each.values()) for each in made(Brief(**TWO))]
    assert rows == list(product(*(TWO[key] for key in ("hooks", "formats", "lengths"))))


def test_one_at_a_time_is_the_first_of_each_and_every_other_alone():
    assert [tuple(each.values()) for each in made(Brief(**TWO, combine="one-at-a-time"))] == [
        (None, "1:1", "full"),
        ("a.mp4", "1:1", "full"),
        (None, "9:16", "full"),
        (None, "4:5", "full"),
        (None, "1:1", 6),
    ]


def test_pairs_are_fewer_than_all_and_have_every_value():
    rows = made(Brief(**TWO, looks=3, combine="pairs"))
    assert 9 <= len(rows) < 36
    assert {row["look"] for row in rows} == {1, 2, 3}


@pytest.mark.parametrize(("number", "count"), [(1, 1), (5, 5), (12, 12), (10**30, 12)])
def test_a_number_is_that_many_or_all(number: int, count: int):
    assert len(made(Brief(**TWO, combine=number))) == count


@pytest.mark.parametrize("combine", ["all", "one-at-a-time", "pairs", 7])
def test_what_is_excluded_is_never_made(combine: Combine):
    exclude = (Exclusion((("hook", None), ("format", "9:16"))), Exclusion((("length", 6),)))
    rows = made(Brief(**TWO, combine=combine, exclude=exclude))
    assert rows
    assert not [row for row in rows if row["hook"] is None and row["format"] == "9:16"]
    assert not [row for row in rows if row["length"] == 6]


def test_a_text_excludes_every_headline_that_has_it():
    top, bottom = Headline("Hi"), Headline("Hi", "bottom")
    brief = Brief(headlines=(top, bottom, None), exclude=(Exclusion((("headline", "Hi"),)),))
    assert made(brief) == [{"headline": None}]


def test_an_exclusion_may_be_of_one_main_clip():
    exclude = (Exclusion((("video", "other.mp4"), ("format", "1:1"))),)
    brief = Brief(formats=("1:1", "9:16"), exclude=exclude)
    assert len(made(brief, "clip.mp4")) == 2
    assert made(brief, "other.mp4") == [{"format": "9:16"}]
    nothing = Brief(exclude=(Exclusion((("video", "other.mp4"),)),))
    assert space_of(nothing, exclusions_of(nothing, "other.mp4")) is None
    assert made(nothing) == [{}]
