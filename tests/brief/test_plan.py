"""All outputs of a job."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.brief.errors import BriefError
from jobserver.brief.model import Axes, Part, Plan, Sources
from jobserver.brief.parse import parse
from jobserver.brief.plan import plan

MOST = 500


def parts(count: int, stem: str, ending: str = "mp4") -> tuple[Part, ...]:
    return tuple(Part(f"{stem}{n}.{ending}") for n in range(1, count + 1))


CLIP = Sources(videos=parts(1, "clip"))
MANY = Sources(videos=parts(10, "body"), hooks=parts(10, "hook"), endings=parts(3, "end", "png"))


def planned(
    document: dict[str, Any], sources: Sources = CLIP, title: str | None = None, **options: Any
) -> Plan:
    return plan(parse(document, sources, **options), sources, MOST, title)


def refusal(document: dict[str, Any], sources: Sources = CLIP, **options: Any) -> BriefError:
    with pytest.raises(BriefError) as refused:
        planned(document, sources, **options)
    return refused.value


def test_a_brief_that_varies_nothing_makes_one_output_of_each_main_clip():
    made = planned({}, replace(CLIP, videos=parts(2, "clip")))
    assert (made.total, made.variations_per_video, made.shots) == (2, 1, 2)
    assert [output.name for output in made.outputs] == ["clip1_1", "clip2_1"]
    axes = Axes("clip1.mp4", None, None, "source", "full", 1, False, None, None, None)
    assert made.outputs[0].axes == axes


def test_cost_grows_with_the_parts():
    made = planned({}, MANY)
    assert (made.total, made.variations_per_video, made.shots) == (300, 30, 23)
    assert [output.number for output in made.of_video(9)] == list(range(1, 31))
    assert made.outputs[0].name == "body1_hook1_end1_1"
    assert len({output.name.casefold() for output in made.outputs}) == 300


@pytest.mark.parametrize(
    ("document", "shots"),
    [
        ({"lengths": ["full", 15, 6]}, 23),  # all lengths of a clip are one encode
        ({"formats": ["source", "9:16"]}, 46),
        ({"speeds": [1, 1.5]}, 33),  # of the main clip alone
        ({"headlines": [None, {"text": "New"}], "combine": "pairs"}, 43),  # not of endings
        ({"headlines": [{"text": "New", "from": 1}]}, 113),  # later in a main clip by its hook
        ({"hooks": [None, *(part.name for part in MANY.hooks)], "combine": 100}, 23),
        ({"loudness": -16, "musicVolume": -6}, 23),
    ],
)
def test_shots_are_what_is_encoded(document: dict[str, Any], shots: int):
    assert planned({"combine": "pairs"} | document, MANY).shots == shots


def test_a_main_clip_that_is_joined_and_alone_is_two_shots():
    sources = replace(CLIP, hooks=parts(1, "hook"))
    assert planned({"hooks": [None, "hook1.mp4"]}, sources).shots == 3


def test_looks_are_an_axis():
    made = planned({"formats": ["1:1", "4:5"]}, variations=3)
    assert [output.axes.look for output in made.outputs] == [1, 2, 3, 1, 2, 3]
    assert made.shots == 6


def test_a_headline_is_with_its_output():
    document = {"headlines": [None, {"text": "a"}, {"text": "a", "position": "bottom"}]}
    made = planned(document)
    assert [output.axes.headline for output in made.outputs] == [None, "a", "a"]
    assert [each.headline and each.headline.position for each in made.outputs] == [
        None,
        "top",
        "bottom",
    ]
    assert [output.name for output in made.outputs] == [
        "clip1_noheadline_1",
        "clip1_headline2_2",
        "clip1_headline3_3",
    ]


def test_equal_names_get_a_number_in_all_of_the_job():
    sources = replace(CLIP, videos=parts(2, "clip"))
    made = planned({"name": "ad_{format}", "formats": ["1:1", "4:5"]}, sources)
    assert [output.name for output in made.outputs] == ["ad_1x1", "ad_4x5", "ad_1x1_2", "ad_4x5_2"]


def test_a_title_begins_each_name_where_no_template_says_otherwise():
    assert planned({}, title="May sale!").outputs[0].name == "May_sale_clip1_1"
    assert planned({"name": "{n} {title}"}, title="May").outputs[0].name == "1_May"


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ({"speeds": [n / 1000 for n in range(500, 1001)]}, "501"),
        (
            {"lengths": list(range(1, 1001)), "speeds": [n / 1000 for n in range(500, 1500)]},
            "1000000",
        ),
        (
            {
                "lengths": list(range(1, 1001)),
                "speeds": [n / 1000 for n in range(500, 1500)],
                "exclude": [{"length": 1}, {"length": 2, "speed": 1}],
            },
            "998999",
        ),
        (
            {
                "lengths": list(range(1, 1001)),
                "speeds": [n / 1000 for n in range(500, 1500)],
                "combine": "pairs",
            },
            "at least 1000000",
        ),
        ({"lengths": list(range(1, 1001)), "combine": "one-at-a-time"}, "1000"),
        ({"lengths": list(range(1, 1001)), "combine": 501}, "501"),
    ],
)
def test_more_than_may_be_made_are_refused_at_once_with_their_number(
    document: dict[str, Any], count: str
):
    started = time.monotonic()
    error = refusal(document)
    assert str(error) == f"brief would make {count} outputs; at most 500 can be made"
    assert error.path == "brief"
    assert time.monotonic() - started < 1


def test_the_outputs_of_all_main_clips_count_together():
    sources = replace(CLIP, videos=parts(10, "clip"))
    assert planned({"lengths": list(range(1, 51))}, sources).total == MOST
    error = refusal({"lengths": list(range(1, 52))}, sources)
    assert error.reason == "would make 510 outputs; at most 500 can be made"


def test_each_main_clip_has_its_own_exclusions_and_the_largest_number_is_said():
    sources = replace(CLIP, videos=parts(3, "clip"))
    exclude = [{"video": "clip2.mp4", "format": "1:1"}, {"video": "clip3.mp4", "format": "4:5"}]
    made = planned({"formats": ["1:1", "4:5", "9:16"], "exclude": exclude}, sources)
    formats = [[output.axes.format for output in made.of_video(n)] for n in range(3)]
    assert formats == [["1:1", "4:5", "9:16"], ["4:5", "9:16"], ["1:1", "9:16"]]
    assert (made.total, made.variations_per_video) == (7, 3)


def test_64_kib_of_exclusions_are_planned_or_refused_quickly():
    document = {
        "headlines": [{"text": str(n)} for n in range(1500)],
        "exclude": [{"headline": str(n)} for n in range(1499)],
        "hooks": [part.name for part in MANY.hooks],
    }
    started = time.monotonic()
    assert planned(document, MANY).total == 300
    crossed = [{"headline": str(n), "hook": f"hook{1 + n % 10}.mp4"} for n in range(1200)]
    assert refusal(document | {"exclude": crossed}, MANY).path == "brief"
    assert time.monotonic() - started < 5


def test_a_cover_of_pairs_that_is_larger_than_two_axes_is_refused_with_its_number():
    document = {
        "lengths": list(range(1, 23)),
        "speeds": [n / 100 for n in range(50, 72)],
        "headlines": [{"text": str(n)} for n in range(22)],
        "combine": "pairs",
    }
    error = refusal(document)
    count = int(error.reason.split()[2])
    assert count > 500
    assert error.reason == f"would make {count} outputs; at most 500 can be made"


@pytest.mark.parametrize(
    ("exclude", "reason"),
    [
        ([{"video": "body2.mp4"}], 'leaves no output of "body2.mp4"'),
        ([{"format": "source"}], 'leaves no output of "body1.mp4"'),
        ([{"hook": "hook3.mp4"}], 'leaves no output with the hook "hook3.mp4"'),
    ],
)
def test_exclusions_that_leave_nothing_of_a_file_are_refused(exclude: list[Any], reason: str):
    error = refusal({"exclude": exclude}, MANY)
    assert (error.path, error.reason) == ("exclude", reason)


@pytest.mark.parametrize("mode", ["one-at-a-time", "pairs", "all"])
def test_each_main_clip_has_an_output_or_the_brief_is_refused(mode: str):
    """What is left of clip1 is 2x in 1:1, which differs from the first values in two axes."""
    exclude = [
        {"video": "clip1.mp4", "speed": 1},
        {"video": "clip1.mp4", "speed": 2, "format": "source"},
    ]
    document = {"speeds": [1, 2], "formats": ["source", "1:1"], "exclude": exclude, "combine": mode}
    sources = replace(CLIP, videos=parts(2, "clip"))
    if mode == "one-at-a-time":
        assert str(refusal(document, sources)) == 'exclude leaves no output of "clip1.mp4"'
    else:
        assert len(list(planned(document, sources).of_video(0))) == 1


def test_a_sample_may_leave_values_out():
    assert planned({"combine": 2}, MANY).total == 20


@settings(max_examples=50, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "formats": st.sampled_from([["source"], ["9:16", "1:1"]]),
            "lengths": st.sampled_from([["full"], ["full", 6, 15]]),
            "combine": st.sampled_from(["all", "one-at-a-time", "pairs", 1, 7]),
            "name": st.sampled_from([None, "x", "{hook}{ending}", "{n}"]),
        }
    ),
    st.integers(0, 3),
)
def test_a_plan_numbers_and_names_its_outputs(document: dict[str, Any], looks: int):
    sources = Sources(videos=parts(2, "clip"), hooks=parts(2, "hook"))
    made = planned(document, sources, variations=looks)
    assert made == planned(document, sources, variations=looks)
    assert len({output.name.casefold() for output in made.outputs}) == made.total
    for video in range(2):
        numbers = [output.number for output in made.of_video(video)]
        assert numbers == list(range(1, len(numbers) + 1))
        axes = [output.axes for output in made.of_video(video)]
        assert len(set(axes)) == len(axes)
        assert {each.video for each in axes} == {sources.videos[video].name}
