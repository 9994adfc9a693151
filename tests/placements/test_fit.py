"""Why a video does not fit a placement, by its measured facts."""

import pytest

from jobserver.placements import PLACEMENTS, Facts, Placement, Range, Ratios, fit, reasons

VERTICAL = Facts(1080, 1920, 15.0, 5_000_000, 30.0)
MB = 1_000_000


def named(name: str) -> Placement:
    return next(placement for placement in PLACEMENTS if placement.name == name)


def fitting(facts: Facts) -> list[str]:
    return [name for name, found in fit(facts).items() if not found]


def test_a_vertical_video_of_fifteen_seconds_fits_all():
    assert fitting(VERTICAL) == [placement.name for placement in PLACEMENTS]


@pytest.mark.parametrize(
    ("width", "height", "left_out"),
    [
        (1920, 1080, ["Meta Reels", "YouTube Shorts", "Snapchat"]),
        (1080, 1080, ["Meta Reels", "YouTube Shorts", "Snapchat"]),
        (1080, 1350, ["Meta Reels", "TikTok In-Feed", "YouTube Shorts", "Snapchat"]),
    ],
)
def test_each_shape_has_its_placements(width: int, height: int, left_out: list[str]):
    facts = VERTICAL._replace(width=width, height=height)
    assert [name for name, found in fit(facts).items() if found] == left_out


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("Meta Reels", {"width": 1920, "height": 1080}, ["The picture is 16:9; recommended: 9:16"]),
        ("Snapchat", {"width": 1920, "height": 1080}, ["The picture is 16:9; accepted: 9:16"]),
        (
            "TikTok In-Feed",
            {"width": 1000, "height": 1250},
            ["The picture is 4:5; accepted: 9:16, 1:1, 16:9"],
        ),
        (
            "LinkedIn",
            {"width": 1920, "height": 822},
            ["The picture is 2.34:1; accepted: 9:16 to 16:9"],
        ),
        ("Pinterest", {"width": 1200, "height": 630}, []),
        ("Pinterest", {"width": 700, "height": 1400}, []),
        (
            "TikTok In-Feed",
            {"width": 360, "height": 640},
            ["The picture has 360 x 640 pixels; at least 540 x 960 pixels"],
        ),
        ("TikTok In-Feed", {"width": 540, "height": 960}, []),
        (
            "LinkedIn",
            {"width": 2160, "height": 3840},
            ["The picture has 2160 x 3840 pixels; at most 1920 x 1920 pixels"],
        ),
        ("LinkedIn", {"duration": 2.9}, ["It lasts 2.9 s; at least 3 s"]),
        ("LinkedIn", {"duration": 3.0}, []),
        ("Snapchat", {"duration": 180.04}, []),
        ("Snapchat", {"duration": 180.1}, ["It lasts 3.002 min; at most 3 min"]),
        ("YouTube Shorts", {"duration": 181.0}, ["It lasts 3.017 min; at most 3 min"]),
        ("YouTube In-Stream", {"duration": 4000.0}, []),
        ("TikTok In-Feed", {"size": 500 * MB}, []),
        ("TikTok In-Feed", {"size": 501 * MB}, ["The file has 501 MB; at most 500 MB"]),
        ("Meta Feed", {"size": 4100 * MB}, ["The file has 4.1 GB; at most 4 GB"]),
        ("LinkedIn", {"size": 60_000}, ["The file has 60 kB; at least 76.8 kB"]),
        ("TikTok In-Feed", {"size": 900_000}, ["It has 480 kb/s; at least 516 kb/s"]),
        ("LinkedIn", {"fps": 60.0}, ["It has 60 frames a second; at most 30"]),
        ("LinkedIn", {"fps": 29.97}, []),
        ("LinkedIn", {"fps": None}, []),
    ],
)
def test_a_reason_says_what_was_measured_and_what_is_asked_for(
    name: str, changed: dict[str, float], expected: list[str]
):
    assert reasons(named(name), VERTICAL._replace(**changed)) == expected


def test_all_reasons_are_given():
    facts = Facts(64, 36, 1.0, 9000)
    assert reasons(named("Snapchat"), facts) == [
        "The picture is 16:9; accepted: 9:16",
        "It lasts 1 s; at least 3 s",
    ]


def test_a_frame_of_even_sides_has_the_shape_it_was_made_in():
    assert "Meta Reels" in fitting(VERTICAL._replace(width=606, height=1080))
    assert "Meta Reels" not in fitting(VERTICAL._replace(width=620, height=1080))


def test_nothing_is_said_of_what_no_page_limits():
    free = Placement(
        name="Anywhere",
        ratios=Ratios("accepted", ("1:100", "100:1"), between=True),
        smallest={},
        largest={},
        seconds=Range(),
        bytes=Range(),
        bitrate=Range(),
        fps=None,
        codecs=(),
        loudness=None,
        notes=(),
        zone_format=None,
        safe_zone=None,
    )
    assert reasons(free, Facts(2, 2, 0.0, 1, 240.0)) == []


@pytest.mark.parametrize("facts", [VERTICAL, Facts(64, 36, 1.0, 9000, 60.0)])
def test_no_reason_says_what_a_platform_will_do(facts: Facts):
    for found in fit(facts).values():
        for reason in found:
            words = set(reason.lower().replace(";", "").split())
            assert not words & {"will", "reject", "rejects", "rejected", "crops", "penalises"}
