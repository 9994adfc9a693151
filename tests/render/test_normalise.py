"""What is done to the frames of a source before anything else."""

import dataclasses

import pytest

from jobserver.render import probe, render
from jobserver.render.colours import Colours
from jobserver.render.media import Video
from jobserver.render.normalise import input_filters, shot_filters

from .conftest import ffmpeg

UNTAGGED = Video(stream=0, track=1, codec="h264", width=1920, height=1080)
AS_BEFORE = ["scale=out_range=tv", "format=yuv420p"]
BT709 = Colours(matrix="bt709", primaries="bt709", transfer="bt709")
BT601 = Colours(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m")


@pytest.mark.parametrize(
    "colours",
    [
        Colours(),
        BT709,
        dataclasses.replace(BT709, full_range=True),
        Colours(matrix="bt709", primaries="bt709", transfer="iec61966-2-1"),
        Colours(transfer="smpte170m"),
        Colours(primaries="reserved"),
    ],
)
def test_sdr_that_is_shown_as_bt709_is_rendered_as_before(colours):
    assert input_filters(dataclasses.replace(UNTAGGED, colours=colours)) == AS_BEFORE


def test_shots_take_an_untagged_video_as_players_do():
    small = dataclasses.replace(UNTAGGED, width=720, height=576)
    assert "matrixin=smpte170m" in ",".join(shot_filters(small))
    assert "matrixin" not in ",".join(shot_filters(UNTAGGED))
    assert "setparams=colorspace=bt709" in ",".join(shot_filters(UNTAGGED))


@pytest.mark.parametrize(
    ("sar", "rotation", "scaled"),
    [
        ((1, 1), 0.0, []),
        ((4, 3), 0.0, ["scale=2560:1080"]),
        ((4, 3), 90.0, ["scale=810:1920"]),
        ((1000, 1), 0.0, ["scale=16384:9"]),
    ],
)
def test_shots_have_square_pixels(sar, rotation, scaled):
    video = dataclasses.replace(UNTAGGED, sar=sar, rotation=rotation)
    filters = shot_filters(video)
    assert filters[-1] == "setsar=1"
    assert [each.removesuffix(":flags=bicubic") for each in filters if "bicubic" in each] == scaled


def test_no_pixel_of_an_odd_side_is_cut_off(settings, tmp_path):
    """The last column of the picture is white; zscale alone would cut it off."""
    path = tmp_path / "odd.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=161x121:r=5:d=0.4,format=yuv444p,"
           "drawbox=x=160:w=1:h=121:c=white:t=fill", "-c:v", "libx264", "-qp", "4",
           "-colorspace", "smpte170m", "-color_primaries", "smpte170m", path)  # fmt: skip
    media = probe(path, settings)
    assert media.video.colours.needs_conversion
    [output] = render(path, media, [(None, tmp_path / "x")], settings)
    assert output.media.displayed == (162, 122)
    picture = ffmpeg("-i", output.path, "-vf", "format=gray", "-f", "rawvideo", "-")
    assert picture[161] > 200
