"""What the timelines of a brief know of a clip: how long its picture is, at which rate."""

from fractions import Fraction

import pytest

from jobserver.render.facts import clip_facts, frame_rate, still_facts
from jobserver.render.media import Audio, Media, Packets, Video
from jobserver.render.stills import Still


def media(frames: int, seconds: float, longest: float | None = None, **more: object) -> Media:
    packets = Packets(
        shown=frames, first=0.5, end=0.5 + seconds, longest=longest or seconds / frames
    )
    video = Video(stream=0, track=1, codec="h264", width=160, height=90)
    return Media(size=1, duration=seconds + 1, video=video, packets=packets, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "seconds", "rate"),
    [
        (25, 1.0, Fraction(25)),
        (24, 1.001, Fraction(24000, 1001)),
        (300, 10.01, Fraction(30000, 1001)),
        (599, 599 / 59.94, Fraction(60000, 1001)),
        (48, 2.0, Fraction(24)),
        (37, 2.0, Fraction(37, 2)),
        (1, 0.04, Fraction(25)),
    ],
)
def test_the_rate_of_a_clip_is_that_of_its_frames(
    frames: int, seconds: float, rate: Fraction
) -> None:
    assert frame_rate(media(frames, seconds)) == rate


def test_a_clip_whose_frames_are_of_different_length_has_no_rate() -> None:
    assert frame_rate(media(25, 1.0, longest=0.08)) is None


def test_a_clip_is_as_long_as_its_picture() -> None:
    found = clip_facts(media(50, 2.0))
    assert (found.duration, found.width, found.height) == (2.0, 160, 90)
    assert (found.has_sound, found.still) == (False, False)
    assert clip_facts(media(50, 2.0, audio=(Audio(1, 2, "aac"),))).has_sound


def test_a_picture_has_sides_and_no_duration() -> None:
    found = still_facts(Still(width=30, height=40))
    assert (found.still, found.width, found.height, found.duration) == (True, 30, 40, 0.0)
