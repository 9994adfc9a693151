"""Briefs as they are kept with a job."""

import json
from typing import Any

from hypothesis import given, settings

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Brief
from jobserver.brief.parse import parse
from jobserver.brief.schema import check
from jobserver.brief.stored import dump, from_document, load, to_document
from tests.brief.samples import LOGO, SOURCES, documents

FULL: dict[str, Any] = {
    "formats": ["9:16", "source"],
    "fit": "pad",
    "padColor": "#AbCdEf",
    "focus": [0, 0.25],
    "size": 720,
    "hooks": [None, "hook1.mp4", "hook2.mp4"],
    "lengths": ["full", 15.0, 6.5],
    "speeds": [1, 1.5],
    "fps": 29.97,
    "mirror": [False, True],
    "headlines": [None, {"text": "Ünter\nuns", "from": 1, "to": 2.5, "background": None}],
    "logo": {"overlay": "logo.png", "opacity": 0.5},
    "loudness": -16,
    "combine": 12,
    "exclude": [{"hook": None, "headline": "Ünter\nuns"}, {"mirror": True, "speed": 1.5}],
    "name": "{video}_{n}",
}


def test_a_brief_is_kept_and_read_again():
    brief = parse(FULL, SOURCES, variations=4, recipe="classic")
    assert load(dump(brief)) == brief
    assert (brief.looks, brief.recipe, brief.pad_color) == (4, "classic", "#abcdef")
    assert "\\u" not in dump(brief)


def test_a_brief_is_shown_as_its_client_could_have_written_it():
    brief = parse(FULL, SOURCES)
    document = to_document(brief)
    check(document)
    assert parse(document, SOURCES) == brief
    assert document == json.loads(json.dumps(document))
    assert list(document) == list(to_document(Brief()))
    assert document["lengths"] == ["full", 15, 6.5]
    assert document["hooks"] == [None, "hook1.mp4", "hook2.mp4"]
    assert document["endings"] == ["end.png"]


@settings(max_examples=100, deadline=None)
@given(documents())
def test_what_is_accepted_is_read_again_as_it_was(document: Any):
    try:
        brief = parse({"logo": LOGO, **document}, SOURCES, unused_allowed=True)
    except (BriefError, TypeError):  # a TypeError: the document is no object
        return
    assert load(dump(brief)) == brief
    assert parse(to_document(brief), SOURCES, unused_allowed=True) == brief


def test_numbers_that_are_whole_are_kept_as_such():
    document = to_document(Brief(formats=("1:1",)))
    assert from_document(document | {"size": 720.0}, looks=0, recipe="subtle").size == 720
    assert dump(Brief(lengths=(15,))) != dump(Brief(lengths=("full",)))
