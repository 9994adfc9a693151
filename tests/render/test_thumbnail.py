import re

import pytest

from jobserver.render import command, parameters, probe, render, thumbnail

from .conftest import H264, described, ffmpeg

SHAPES = [
    ("plain", "320x240"),
    ("wide-pixels", "320x180"),
    ("container-shape", "320x320"),
    ("portrait", "320x426"),
    ("flat", "320x2"),
]
LATE = "color=black:s=160x90:r=10:d=2[b];color=white:s=160x90:r=10:d=1[w];[b][w]concat"


def size(picture):
    return re.search(rb", (\d+x\d+)", described(picture))[1].decode()


def mean_luma(picture):
    luma = ffmpeg("-i", picture, "-vf", "format=gray", "-f", "rawvideo", "-")
    return sum(luma) / len(luma)


def outputs_of(path, settings, folder, count=2):
    wanted = [(parameters(7, n), folder / f"{n}.mp4") for n in range(1, count + 1)]
    return list(render(path, probe(path, settings), wanted, settings, thumbnails=True))


@pytest.mark.parametrize(("name", "expected"), [*SHAPES, ("tall", "320x3200")])
def test_a_thumbnail_has_the_display_aspect_ratio(clip, settings, tmp_path, name, expected):
    out = tmp_path / "picture.webp"
    thumbnail(clip(name), out, settings)
    assert size(out) == expected


@pytest.mark.parametrize(("name", "expected"), SHAPES)
def test_outputs_come_with_thumbnails_of_the_same_shape(clip, settings, tmp_path, name, expected):
    for output in outputs_of(clip(name), settings, tmp_path):
        assert size(output.thumbnail) == expected
        assert output.thumbnail == output.path.with_suffix(".webp")


def test_a_thumbnail_that_comes_with_an_output_shows_a_frame_of_it(clip, settings, tmp_path):
    first, second = outputs_of(clip("plain"), settings, tmp_path)
    again = tmp_path / "again.webp"

    def difference(one, other):
        pictures = [ffmpeg("-i", path, "-vf", "format=gray", "-f", "rawvideo", "-")
                    for path in (one, other)]  # fmt: skip
        return sum(abs(a - b) for a, b in zip(*pictures, strict=True)) / len(pictures[0])

    thumbnail(first.path, again, settings)
    assert difference(first.thumbnail, again) < difference(second.thumbnail, again) / 2


@pytest.mark.parametrize(
    ("graph", "bright"), [(LATE, True), ("color=black:s=160x90:r=10:d=1", False)]
)
def test_a_thumbnail_is_dark_only_if_all_of_the_video_is(settings, tmp_path, graph, bright):
    path = tmp_path / "clip.mp4"
    ffmpeg("-f", "lavfi", "-i", graph, *H264, path)
    for output in outputs_of(path, settings, tmp_path):
        assert (mean_luma(output.thumbnail) > 100) is bright


def test_an_ffmpeg_without_webp_renders_without_thumbnails(clip, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("jobserver.render.command.WEBP", "libnothing")
    monkeypatch.setattr("jobserver.render.variations._NO_WEBP", "Unknown encoder 'libnothing'")
    outputs = outputs_of(clip("plain"), settings, tmp_path)
    assert [output.thumbnail for output in outputs] == [None, None]
    assert {path.name for path in tmp_path.iterdir()} == {"1.mp4", "2.mp4"}


def test_thumbnails_change_no_byte_of_the_outputs(clip, settings, tmp_path):
    with_them = outputs_of(clip("plain"), settings, tmp_path)
    wanted = [(parameters(7, n), tmp_path / f"bare{n}.mp4") for n in (1, 2)]
    without = list(render(clip("plain"), probe(clip("plain"), settings), wanted, settings))
    assert [o.path.read_bytes() for o in with_them] == [o.path.read_bytes() for o in without]


def test_thumbnails_of_outputs_not_yet_consumed_are_removed_on_close(clip, settings, tmp_path):
    wanted = [(parameters(7, n), tmp_path / f"{n}.mp4") for n in (1, 2)]
    source = probe(clip("plain"), settings)
    outputs = render(clip("plain"), source, wanted, settings, thumbnails=True)
    first = next(outputs)
    outputs.close()
    assert set(tmp_path.iterdir()) == {first.path, first.thumbnail}


def test_the_frames_after_a_thumbnail_cost_nothing(clip, settings, tmp_path):
    """`trim` ends when a second frame arrives; the clip has 50."""
    log = tmp_path / "log"
    printed = f"signalstats,metadata=print:file={log}"
    chain = command._with_thumbnail(0).replace(command._brighter(command.DARK), printed)
    ffmpeg("-i", clip("plain"), "-filter_complex", f"[0:v]null{chain}",
           "-map", "[v0]", "-f", "null", "-", "-map", "[t0]", "-f", "null", "-")  # fmt: skip
    assert 1 <= log.read_text().count("frame:") <= 2
