"""What is noticed of a joined output that is not what it should be."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from jobserver.render import Settings
from jobserver.render.errors import Damaged
from jobserver.render.joins.check import check
from jobserver.render.joins.pictures import PictureTrack, read_pictures

from .support import counting

Pieces = tuple[PictureTrack, Path]


@pytest.fixture
def two(part: Any, joined: Any, tmp_path: Path) -> Pieces:
    """An output of two equal parts, and what was taken of them."""
    main = part(counting(tmp_path / "a.mp4"))
    return read_pictures([main, main]), joined(main, main).path


def fault(track: PictureTrack, path: Path, settings: Settings) -> str:
    with pytest.raises(Damaged) as error:
        check(path, track, settings, sound=False, thumbnail=None)
    return error.value.detail


@pytest.mark.parametrize("place", [-1, -200])
def test_a_bit_of_the_picture_that_was_changed_is_noticed(two, settings, place):
    track, path = two
    assert track.alike
    check(path, track, settings, sound=False, thumbnail=None)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert fault(track, path, settings) == "the frames are not those of the shots"


def test_frames_of_another_shot_are_noticed(two, part, settings, tmp_path):
    track, path = two
    other = read_pictures([part(counting(tmp_path / "b.mp4", first=1))] * 2)
    assert other.shown == track.shown
    assert fault(other, path, settings) == "the frames are not those of the shots"


def test_a_joint_of_shots_with_other_configurations_is_decoded(two, settings):
    track, path = two
    track = dataclasses.replace(track, alike=False)
    check(path, track, settings, sound=False, thumbnail=None)
    data = bytearray(path.read_bytes())
    second = data.index(data[data.index(b"mdat") + 4 :][:40], data.index(b"mdat") + 60)
    data[second:] = bytes(len(data) - second)
    path.write_bytes(data)
    assert fault(track, path, settings)


def test_a_lost_frame_is_noticed(two, settings):
    track, path = two
    longer = dataclasses.replace(track, cuts=[*track.cuts, track.cuts[0]])
    assert fault(longer, path, settings) == "60 frames, not 90"
