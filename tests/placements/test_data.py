"""The data file: every figure has a page and the date it was read on."""

import datetime
from typing import Any

import pytest

from jobserver.placements import PLACEMENTS, margins
from jobserver.placements.data import DATA, SIDES

ENTRIES = {entry["name"]: entry for entry in DATA["placements"]}
FIGURES = (
    *("ratios", "smallest", "largest", "seconds", "bytes", "bitrate", "fps"),
    *("codecs", "loudness", "notes", "safeZone"),
)
# Of these each placement has a figure, or says that no page was found.
USUAL = ("ratios", "smallest", "seconds", "bytes", "codecs", "loudness", "safeZone")
KEYS = {"name", "missing", "sources", *FIGURES}


def check_source(source: dict[str, Any]) -> None:
    assert source["page"].startswith("https://")
    assert datetime.date.fromisoformat(source["read"]) >= datetime.date(2026, 12, 1)
    assert source["says"]


def test_the_placements_that_marketers_use_are_there():
    assert list(ENTRIES) == [
        *("Meta Feed", "Meta Reels", "TikTok In-Feed", "YouTube Shorts", "YouTube In-Stream"),
        *("LinkedIn", "Pinterest", "Snapchat"),
    ]
    assert [placement.name for placement in PLACEMENTS] == list(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_each_figure_names_a_page_and_the_date_it_was_read_on(name: str):
    entry = ENTRIES[name]
    assert set(entry) <= KEYS
    named = {figure for source in entry["sources"] for figure in source["of"]}
    assert named == set(FIGURES) & set(entry)
    for source in entry["sources"]:
        check_source(source)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_no_page_said_is_called_missing(name: str):
    entry = ENTRIES[name]
    missing = set(entry.get("missing", ()))
    assert not missing & set(entry)
    assert set(USUAL) <= missing | set(entry)


def test_the_margins_of_a_format_are_the_largest_that_one_of_its_placements_asks_for():
    assert margins()["9:16"] == {"left": 0.112, "top": 0.15, "right": 0.178, "bottom": 0.35}
    for placement in PLACEMENTS:
        if placement.safe_zone is not None and placement.zone_format is not None:
            kept = margins()[placement.zone_format]
            assert all(placement.safe_zone[side] <= kept[side] for side in SIDES)


def test_a_margin_that_no_placement_asks_for_names_its_page_or_that_there_is_none():
    for entry in DATA["formats"].values():
        assert entry["sources"] or entry["missing"]
        for source in entry["sources"]:
            check_source(source)
