"""The shots that each output is joined from."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.brief.assemble import shots_of, timelines
from jobserver.brief.model import Logo, Part, Sources
from jobserver.brief.parse import parse
from jobserver.brief.plan import plan
from jobserver.brief.timeline import Facts, PartFacts, Segment, Timeline, Unmakeable

SOURCES = Sources(
    videos=(Part("clip.mp4"),),
    hooks=(Part("hook.mp4"),),
    endings=(Part("end.png"),),
    overlays=(Part("logo.png"),),
    music=(Part("song.m4a"),),
)
ALONE = Sources(videos=SOURCES.videos)
CLIP = PartFacts(duration=20.0, width=640, height=360, fps=Fraction(25), has_sound=True)
FACTS: Facts = {
    ("video", 0): CLIP,
    ("hook", 0): replace(CLIP, duration=3.01, fps=Fraction(30), has_sound=False),
    ("ending", 0): PartFacts(duration=0, width=100, height=100, still=True),
}


def look_of(video: int, look: int) -> dict[str, float]:
    return {"zoom": look / 100, "brightness": video + 0.5}


def made(
    document: dict[str, Any], sources: Sources = ALONE, facts: Facts = FACTS, **options: Any
) -> list[Timeline | Unmakeable]:
    brief = parse(document, sources, unused_allowed=True, **options)
    outputs = plan(brief, sources, 500).outputs
    return timelines(brief, outputs, sources, facts, look_of=look_of)


def only(document: dict[str, Any], sources: Sources = ALONE, **options: Any) -> Timeline:
    (timeline,) = made(document, sources, **options)
    assert isinstance(timeline, Timeline)
    return timeline


def picture(segment: Segment) -> Any:
    assert segment.picture.picture is not None
    assert segment.picture.sound is None
    return segment.picture.picture


def test_a_single_part_keeps_its_size_rate_and_sound_level():
    timeline = only({})
    (segment,) = timeline.segments
    assert (timeline.fps, timeline.loudness, timeline.music) == (None, None, None)
    assert (segment.seconds, segment.cut) == (20.0, False)
    shown = picture(segment)
    assert (shown.width, shown.height, shown.fps, shown.seconds) == (640, 360, None, None)
    assert (shown.speed, shown.mirror, shown.look, shown.keyframes) == (1.0, False, None, ())
    assert segment.sound is not None
    assert segment.sound.sound is not None
    assert (segment.sound.role, segment.sound.sound.speed) == ("video", 1.0)


def test_parts_play_one_after_the_other_in_one_shape_and_rate():
    timeline = only({"formats": ["9:16"], "logo": {"overlay": "logo.png"}}, SOURCES)
    assert [segment.picture.role for segment in timeline.segments] == ["hook", "video", "ending"]
    shown = [picture(segment) for segment in timeline.segments]
    assert {(each.width, each.height, each.fps) for each in shown} == {(1080, 1920, Fraction(25))}
    assert {each.logo for each in shown} == {Logo("logo.png")}
    assert [segment.seconds for segment in timeline.segments] == [3.0, 20.0, 2.0]  # whole frames
    assert [segment.sound is None for segment in timeline.segments] == [True, False, True]
    assert [each.seconds for each in shown] == [None, None, 2.0]  # of the still alone
    assert (timeline.fps, timeline.loudness, timeline.music) == (Fraction(25), -14.0, 0)
    assert timeline.seconds == 25.0


def test_music_alone_sets_a_loudness_and_a_brief_may_set_another():
    assert only({}, replace(ALONE, music=SOURCES.music)).loudness == -14.0
    assert only({"loudness": -20}).loudness == -20
    assert only({"musicVolume": -6}, SOURCES).music_volume == -6


def test_speed_mirror_and_look_touch_the_main_clip_alone():
    timeline = only({"speeds": [1.25], "mirror": [True]}, SOURCES, variations=1)
    hook, main, ending = map(picture, timeline.segments)
    assert (main.speed, main.mirror) == (1.25, True)
    assert main.look == (("brightness", 0.5), ("zoom", 0.01))
    assert {(each.speed, each.mirror, each.look) for each in (hook, ending)} == {(1.0, False, None)}
    assert [segment.seconds for segment in timeline.segments] == [3.0, 16.0, 2.0]
    assert timeline.segments[1].sound is not None
    assert timeline.segments[1].sound.sound is not None
    assert timeline.segments[1].sound.sound.speed == 1.25


def test_the_speed_of_a_look_is_that_of_its_main_clip_too():
    sources = Sources(videos=(Part("clip.mp4"),), hooks=(Part("hook1.mp4"),))
    brief = parse({"hooks": ["hook1.mp4"], "speeds": [1.25]}, sources, variations=1)
    [planned] = plan(brief, sources, 9).outputs
    facts = {
        ("video", 0): replace(CLIP, duration=10.0),
        ("hook", 0): replace(CLIP, duration=2.0),
    }
    [made] = timelines(brief, [planned], sources, facts, look_of=lambda *_: {"speed": 0.8})
    hook, main = made.segments
    assert (hook.picture.picture.speed, hook.seconds) == (1, 2)
    assert (main.picture.picture.speed, main.sound.sound.speed, main.seconds) == (1, 1, 10)


def test_the_shape_source_has_the_size_of_the_main_clip():
    facts = {**FACTS, ("video", 0): replace(CLIP, width=639, height=359)}
    (timeline,) = made({}, SOURCES, facts)
    assert isinstance(timeline, Timeline)
    assert {(picture(s).width, picture(s).height) for s in timeline.segments} == {(640, 360)}


def test_all_lengths_share_one_encode_with_keyframes_where_they_end():
    found = made({"lengths": [10, "full", 6.03]}, SOURCES)
    mains = [each.segments[1] for each in found if isinstance(each, Timeline)]
    assert [(segment.seconds, segment.cut) for segment in mains] == [
        (5.0, True),
        (20.0, False),
        (1.04, True),  # the nearest frame
    ]
    assert len({segment.picture.key for segment in mains}) == 1
    assert picture(mains[0]).keyframes == (1.04, 5.0)
    assert picture(mains[0]).seconds is None
    assert len(shots_of(found)) == 4  # three pictures, one sound


def test_without_a_full_length_no_more_is_encoded_than_the_longest():
    found = made({"lengths": [10, 6]})
    ten, six = (each.segments[0] for each in found if isinstance(each, Timeline))
    assert ten.picture == six.picture
    assert (picture(ten).seconds, picture(ten).keyframes) == (10.0, (6.0,))
    assert (ten.cut, six.cut) == (False, True)
    assert ten.sound is not None
    assert ten.sound.sound is not None
    assert ten.sound.sound.seconds == 10.0


def test_a_main_clip_shorter_than_a_length_is_whole():
    timeline = only({"lengths": [30]}, SOURCES)
    assert (timeline.seconds, timeline.segments[1].cut) == (25.0, False)
    assert only({"lengths": [20]}).segments[0].cut is False


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (5, "Hook and ending take 5 s: nothing of the main clip fits into 5 s"),
        (4.5, "Hook and ending take 5 s: nothing of the main clip fits into 4.5 s"),
    ],
)
def test_hook_and_ending_that_are_longer_than_a_length_fail_that_output(length: float, reason: str):
    short, full = made({"lengths": [length, "full"]}, SOURCES)
    assert isinstance(short, Unmakeable)
    assert isinstance(full, Timeline)
    assert short.reason == reason
    assert picture(full.segments[1]).keyframes == ()


def test_a_hook_alone_is_named_alone():
    (short,) = made({"lengths": [2], "endings": [None]}, SOURCES)
    assert isinstance(short, Unmakeable)
    assert short.reason == "Hook takes 3 s: nothing of the main clip fits into 2 s"


def test_one_frame_of_the_main_clip_is_enough():
    (timeline,) = made({"lengths": [5.04]}, SOURCES)
    assert isinstance(timeline, Timeline)
    assert timeline.segments[1].seconds == 0.04


def test_what_is_not_there_fails_the_outputs_that_use_it():
    facts = {place: each for place, each in FACTS.items() if place != ("hook", 0)}
    alone, hooked = made({"hooks": [None, "hook.mp4"]}, SOURCES, facts)
    assert isinstance(alone, Timeline)
    assert isinstance(hooked, Unmakeable)
    assert hooked.reason == "The hook hook.mp4 cannot be used"


@pytest.mark.parametrize(
    ("times", "hook", "main"),
    [
        ({}, (None, None), (None, None)),
        ({"from": 1}, (1.0, None), (None, None)),
        ({"to": 2}, (None, 2.0), None),
        ({"from": 1, "to": 5}, (1.0, None), (None, 2.0)),
        ({"from": 4}, None, (1.0, None)),
        ({"from": 3, "to": 100}, None, (None, None)),
        ({"from": 3.5, "to": 4.25}, None, (0.5, 1.25)),
        ({"from": 50}, None, None),
    ],
)
def test_a_headline_has_the_times_of_each_shot(times: dict[str, float], hook: Any, main: Any):
    timeline = only({"headlines": [{"text": "Hi", **times}]}, SOURCES)
    shown = [picture(segment).headline for segment in timeline.segments]
    assert [each and (each.start, each.end) for each in shown] == [hook, main, None]
    assert all(each.text == "Hi" for each in shown if each)


def test_headlines_without_times_share_the_main_clip_of_all_hooks():
    sources = replace(SOURCES, hooks=(Part("hook.mp4"), Part("longer.mp4")))
    facts = {**FACTS, ("hook", 1): replace(CLIP, duration=5.0)}
    for times, mains in (({}, 1), ({"from": 4}, 2)):
        found = made({"headlines": [{"text": "Hi", **times}]}, sources, facts)
        keys = {each.segments[1].picture.key for each in found if isinstance(each, Timeline)}
        assert len(keys) == mains


def test_the_rate_is_that_of_most_main_clips():
    sources = replace(SOURCES, videos=(Part("a"), Part("b")))
    facts = {**FACTS, ("video", 1): replace(CLIP, fps=Fraction(50))}
    assert {each.fps for each in made({}, sources, facts) if isinstance(each, Timeline)} == {50}
    assert only({"fps": 29.97}, SOURCES).fps == Fraction(30000, 1001)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "formats": st.sampled_from([["source"], ["9:16", "source"]]),
            "hooks": st.sampled_from([["hook.mp4"], [None], ["hook.mp4", None]]),
            "endings": st.sampled_from([["end.png"], [None], [None, "end.png"]]),
            "lengths": st.sampled_from([["full"], [7.3, "full", 12], [9, 8.01, 25]]),
            "speeds": st.sampled_from([[1], [0.8, 1.7]]),
            "headlines": st.sampled_from([[None], [None, {"text": "Hi"}]]),
            "stillSeconds": st.sampled_from([0.5, 2, 3.33]),
        }
    ),
    st.sampled_from([Fraction(25), Fraction(30000, 1001), None]),
    st.floats(0.2, 3.5),
)
def test_outputs_are_as_long_as_their_parts_or_as_asked_for_and_shots_as_planned(
    document: dict[str, Any], fps: Fraction | None, hook: float
):
    facts = {
        **FACTS,
        ("video", 0): replace(CLIP, fps=fps),
        ("hook", 0): replace(CLIP, duration=hook),
    }
    brief = parse(document, SOURCES, unused_allowed=True)
    planned = plan(brief, SOURCES, 500)
    found = timelines(brief, planned.outputs, SOURCES, facts, look_of=look_of)
    for each in found:
        assert isinstance(each, Timeline)
        frame = 1 / (each.fps or 25)
        axes = each.output.axes
        parts = [segment.seconds for segment in each.segments]
        if each.fps:
            assert all(abs(part * each.fps - round(part * each.fps)) < 1e-6 for part in parts)
        whole = 20 / axes.speed
        whole += hook if axes.hook else 0
        whole += brief.still_seconds if axes.ending else 0
        wanted = whole if axes.length == "full" else min(whole, axes.length)
        assert abs(each.seconds - wanted) <= 2 * frame
        for segment in each.segments:
            ends = picture(segment).keyframes
            assert not segment.cut or segment.seconds in ends
    assert sum(shot.picture is not None for shot in shots_of(found).values()) == planned.shots


def test_format_fit_and_logo_touch_all_parts():
    document = {
        "formats": ["4:5"],
        "fit": "crop",
        "focus": [0.25, 1],
        "padColor": "#ffffff",
        "logo": {"overlay": "logo.png"},
    }
    shown = [picture(segment) for segment in only(document, SOURCES).segments]
    assert len(shown) == 3
    assert {(each.format, each.fit, each.focus, each.pad_color, each.logo) for each in shown} == {
        ("4:5", "crop", (0.25, 1.0), "#ffffff", Logo("logo.png"))
    }
