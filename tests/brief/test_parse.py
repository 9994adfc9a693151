"""What a brief may say beyond its schema, and the files that it names."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Brief, Exclusion, Headline, Logo, Part, Sources
from jobserver.brief.parse import parse, used
from tests.brief.samples import LOGO, SOURCES, documents

ALONE = Sources(videos=(Part("clip.mp4"),))


def refusal(document: Any, sources: Sources = SOURCES, **options: Any) -> BriefError:
    with pytest.raises(BriefError) as refused:
        parse(document, sources, **options)
    assert "\n" not in str(refused.value)
    return refused.value


def test_an_empty_brief_uses_every_hook_ending_and_music_that_was_sent():
    brief = parse({"logo": LOGO}, SOURCES)
    assert brief == Brief(
        hooks=("hook1.mp4", "hook2.mp4"),
        endings=("end.png",),
        music=("song.m4a",),
        logo=Logo("logo.png"),
    )
    assert parse({}, ALONE) == Brief()


def test_a_brief_may_be_text_or_what_was_read_from_it():
    document = {"formats": ["1:1"], "size": 720}
    assert parse(json.dumps(document), ALONE) == parse(document, ALONE)


def test_looks_come_from_beside_the_brief():
    assert parse({}, ALONE, variations=3, recipe="classic") == Brief(looks=3, recipe="classic")
    assert refusal({"looks": 3}, ALONE).path == "looks"


def test_a_headline_has_defaults():
    assert parse({"headlines": [{"text": "Hi"}]}, ALONE).headlines == (Headline("Hi"),)


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ({"hooks": ["x.mp4"]}, "hooks[0]", 'is "x.mp4", which was not sent as hook'),
        ({"hooks": [None, "clip.mp4"]}, "hooks[1]", 'is "clip.mp4", which was not sent as hook'),
        ({"endings": ["a\0b"]}, "endings[0]", 'is "a\\u0000b", which was not sent as ending'),
        (
            {"logo": {"overlay": "no.png"}},
            "logo.overlay",
            'is "no.png", which was not sent as overlay',
        ),
        ({"hooks": ["hook2.mp4"]}, "hooks", 'does not use "hook1.mp4", which was sent'),
        ({"music": [None]}, "music", 'does not use "song.m4a", which was sent'),
        ({"logo": None}, "logo", 'does not use "logo.png", which was sent'),
        (
            {"exclude": [{"hook": "hook1.mp4"}, {"hook": "x"}]},
            "exclude[1].hook",
            'is "x", which was not sent as hook',
        ),
        ({"exclude": [{"hook": None}]}, "exclude[0].hook", "is null, which the axis does not have"),
        (
            {"exclude": [{"format": "1:1"}]},
            "exclude[0].format",
            'is "1:1", which the axis does not have',
        ),
        ({"exclude": [{"look": 1}]}, "exclude[0].look", "is 1, which the axis does not have"),
        (
            {"exclude": [{"headline": "No"}]},
            "exclude[0].headline",
            'is "No", which the axis does not have',
        ),
        (
            {"headlines": [None, {"text": "a\u202eb"}]},
            "headlines[1].text",
            "has the character U+202E, which cannot be drawn",
        ),
        ({"headlines": [{"text": "\n"}]}, "headlines[0].text", "is blank"),
        (
            {"headlines": [{"text": "a", "from": 2, "to": 2}]},
            "headlines[0].to",
            "must be later than from",
        ),
        ({"headlines": [{"text": "a", "to": 0}]}, "headlines[0].to", "must be later than from"),
        (
            {"headlines": [{"text": "a"}, {"text": "a", "position": "top"}]},
            "headlines[1]",
            "repeats headlines[0]",
        ),
        ({"name": "{size}"}, "name", 'has the field "size"; known are'),
        ({"name": "a\nb\x07"}, "name", "has the character U+0007, which cannot be drawn"),
    ],
)
def test_what_cannot_be_followed_is_refused_where_it_stands(
    document: dict[str, Any], path: str, reason: str
):
    error = refusal({"logo": LOGO} | document)
    assert (error.path, error.reason[: len(reason)]) == (path, reason)


def test_equal_names_within_a_role_are_refused_but_not_across_roles():
    clip = Part("a.mp4")
    assert parse({}, Sources(videos=(clip,), hooks=(clip,))).hooks == ("a.mp4",)
    twice = refusal({}, Sources(videos=(Part("b.mp4"), clip, clip)))
    assert (twice.path, twice.reason) == ("videos[2]", "repeats videos[1]")


def test_a_name_may_be_written_with_its_accents_apart():
    sources = Sources(videos=(Part("clip.mp4"),), hooks=(Part("cafe\u0301.mp4"),))
    assert parse({"hooks": ["caf\u00e9.mp4"]}, sources).hooks == ("cafe\u0301.mp4",)
    assert refusal({"hooks": ["caf\u00e9.mp4", "cafe\u0301.mp4"]}, sources).path == "hooks[1]"


def test_an_exclusion_names_files_as_they_were_sent_and_axes_in_their_sequence():
    document = {"logo": LOGO, "exclude": [{"music": "song.m4a", "video": "clip.mp4"}]}
    expected = (Exclusion((("video", "clip.mp4"), ("music", "song.m4a"))),)
    assert parse(document, SOURCES).exclude == expected


def test_a_text_that_the_fonts_lack_is_refused_by_who_knows_them():
    document = {"headlines": [None, {"text": "日本"}]}
    error = refusal(document, ALONE, cannot_draw=lambda text: f"has {text[0]}, which no font has")
    assert (error.path, error.reason) == ("headlines[1].text", "has 日, which no font has")


def test_files_that_are_not_used_may_be_allowed_and_are_found():
    brief = parse({"hooks": ["hook2.mp4"]}, SOURCES, unused_allowed=True)
    assert used(brief, SOURCES) == Sources(
        videos=SOURCES.videos,
        hooks=(Part("hook2.mp4"),),
        endings=SOURCES.endings,
        music=SOURCES.music,
    )


def test_64_kib_of_headlines_are_refused_and_fewer_are_read():
    headlines = [{"text": f"{n:0480d}"} for n in range(130)]
    assert len(parse({"headlines": headlines}, ALONE).headlines) == 130
    larger = json.dumps({"headlines": headlines * 2})
    assert str(refusal(larger, ALONE)) == "brief is larger than 65536 bytes"


@settings(max_examples=200, deadline=None)
@given(documents())
def test_no_document_raises_anything_but_its_refusal(document: Any):
    try:
        assert isinstance(parse(document, SOURCES), Brief)
    except BriefError as error:
        refused = error
    else:
        return
    assert refused.path
    assert str(refused).isprintable()
