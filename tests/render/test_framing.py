"""Where a picture lies in a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobserver.render.framing import Box, Framing, framing

from .shots.support import appearance

WIDE, TALL, SQUARE = (1920, 1080), (1080, 1920), (1080, 1080)


def framed(source, frame, fit="blur", **changes):
    wanted = appearance(width=frame[0], height=frame[1], fit=fit, **changes)
    return framing(source, wanted)


@pytest.mark.parametrize("fit", ["blur", "pad", "crop"])
@pytest.mark.parametrize("source", [WIDE, TALL, (1280, 720), (1919, 1081), (2, 2)])
def test_a_source_of_the_shape_of_the_frame_fills_it(source, fit):
    frame = tuple(side + side % 2 for side in source)
    assert framed(source, frame, fit) == Framing(None, Box(0, 0, *frame), fills=True)


@pytest.mark.parametrize(
    ("source", "frame", "box"),
    [
        (WIDE, TALL, Box(0, 656, 1080, 608)),
        (WIDE, SQUARE, Box(0, 236, 1080, 608)),
        (TALL, WIDE, Box(656, 0, 608, 1080)),
        (TALL, SQUARE, Box(236, 0, 608, 1080)),
        ((320, 240), WIDE, Box(640, 300, 640, 480)),  # twice its size
        ((640, 480), (1080, 1350), Box(0, 270, 1080, 810)),
        ((854, 480), WIDE, Box(106, 60, 1708, 960)),
        ((1708, 960), WIDE, Box(0, 0, 1920, 1080)),  # a hair too wide: no line of background
    ],
)
@pytest.mark.parametrize("fit", ["blur", "pad"])
def test_the_whole_source_is_seen(source, frame, box, fit):
    assert framed(source, frame, fit) == Framing(
        None, box, fills=box.width * box.height == frame[0] * frame[1]
    )


@pytest.mark.parametrize(
    ("source", "frame", "crop", "box"),
    [
        (WIDE, TALL, Box(656, 0, 608, 1080), Box(0, 0, 1080, 1920)),
        (WIDE, SQUARE, Box(420, 0, 1080, 1080), Box(0, 0, 1080, 1080)),
        (TALL, SQUARE, Box(0, 420, 1080, 1080), Box(0, 0, 1080, 1080)),
        ((640, 360), TALL, Box(50, 0, 540, 360), Box(0, 600, 1080, 720)),  # twice its size
    ],
)
def test_crop_fills_the_frame_from_the_middle(source, frame, crop, box):
    assert framed(source, frame, "crop") == Framing(crop, box, fills=box.height == frame[1])


@pytest.mark.parametrize(
    ("focus", "left"),
    [((0, 0), 0), ((1, 1), 840), ((0.5, 0), 420), ((0.3, 0.9), 36), ((0.7, 0), 804)],
)
def test_crop_is_around_the_focus_but_within_the_source(focus, left):
    assert framed(WIDE, SQUARE, "crop", focus=focus).crop == Box(left, 0, 1080, 1080)


def test_the_zoom_of_a_look_is_within_what_is_seen():
    look = (("left", 0.0), ("top", 1.0), ("zoom", 0.02))
    assert framed(WIDE, WIDE, look=look).crop == Box(0, 22, 1882, 1058)
    assert framed(WIDE, TALL, look=look).box == Box(0, 656, 1080, 608)
    cropped = framed(WIDE, SQUARE, "crop", look=look).crop
    assert cropped == Box(412, 22, 1058, 1058)


sides = st.integers(2, 4096)
even = st.integers(1, 1080).map(lambda n: 2 * n)
share = st.floats(0, 1)


@given(
    source=st.tuples(sides, sides),
    frame=st.tuples(even, even),
    fit=st.sampled_from(["blur", "pad", "crop"]),
    focus=st.tuples(share, share),
    zoom=st.none() | st.tuples(st.floats(0, 0.02), share, share),
)
def test_boxes_are_even_and_inside(source, frame, fit, focus, zoom):
    look = tuple(zip(("zoom", "left", "top"), zoom, strict=True)) if zoom else None
    found = framed(source, frame, fit, focus=focus, look=look)
    box, crop = found.box, found.crop or Box(0, 0, *source)
    assert {box.left % 2, box.top % 2, box.width % 2, box.height % 2} == {0}
    assert min(box.left, box.top) >= 0
    assert min(box.width, box.height) >= 2
    assert box.left + box.width <= frame[0]
    assert box.top + box.height <= frame[1]
    assert found.fills == ((box.width, box.height) == frame)
    assert min(crop.left, crop.top) >= 0
    assert crop.left % 2 == crop.top % 2 == 0
    assert crop.left + crop.width <= source[0]
    assert crop.top + crop.height <= source[1]
    assert min(crop.width, crop.height) >= 2
