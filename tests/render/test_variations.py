import dataclasses
import itertools
import threading
from fractions import Fraction

import pytest

from jobserver.render import (
    Cancelled,
    Encoding,
    EngineError,
    Settings,
    command,
    parameters,
    probe,
    render,
)
from jobserver.render.errors import Damaged, TooBig, Unsupported
from jobserver.render.recipe import MAX_ZOOM
from jobserver.render.settings import MIB
from jobserver.render.variations import group_size, limits_for, shortfall

from . import conftest, fields
from .conftest import FAST, described, ffmpeg, onset, ssim

EVERY_KIND = [
    "plain", "faststart", "open-gop", "vfr", "portrait", "silent", "hevc10", "odd", "single",
    "uhd", "wide-pixels", "full-range", "pcm", "two-sounds", "fragmented", "turned",
    "trimmed", "delayed", "timecode", "container-shape", "odd-sounds",
    "interlaced",
]  # fmt: skip
# A variation is close to its source but never the same; without a recipe it nearly is.
NEAR = {"subtle": (0.55, 0.995), "classic": (0.55, 0.995)}
WITHOUT_RECIPE = 0.97


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_kind_of_footage_gives_playable_variations(clip, rendered, settings, name):
    source = probe(clip(name), settings)
    for output in rendered(clip(name)):
        media = output.media
        assert media.frames == source.frames
        assert media.packets.duration == pytest.approx(
            source.packets.duration, abs=source.packets.longest + 1e-6
        )
        width, height = source.displayed
        assert abs(media.displayed[0] - width) <= 1
        assert media.displayed[1] - height in (0, height % 2)
        assert (media.video.codec, media.video.rotation) == ("h264", 0)
        assert len(media.audio) == len(source.audio)
        assert all(audio.codec == "aac" for audio in media.audio)
        low, high = NEAR["subtle"]
        assert low <= ssim(output.path, clip(name)) <= high
        decoded = ffmpeg(
            "-i", output.path, "-map", "0:v", "-f", "framecrc", "-fps_mode", "passthrough", "-"
        )
        assert sum(not line.startswith(b"#") for line in decoded.splitlines()) == source.frames
        assert b"yuv420p" in described(output.path)


@pytest.mark.parametrize("recipe", NEAR)
def test_recipes_stay_near_the_source(clip, rendered, recipe):
    low, high = NEAR[recipe]
    outputs = rendered(clip("plain"), 3, recipe)
    assert all(low <= ssim(output.path, clip("plain")) <= high for output in outputs)
    for one, other in itertools.combinations(outputs, 2):
        assert ssim(one.path, other.path) < 0.999


@pytest.mark.parametrize(
    "name", ["plain", "portrait", "hevc10", "odd", "full-range", "wide-pixels"]
)
def test_a_reencode_without_recipe_looks_like_the_source(clip, settings, tmp_path, name):
    wanted = [(None, tmp_path / "plain.part")]
    [output] = render(clip(name), probe(clip(name), settings), wanted, settings)
    assert ssim(output.path, clip(name)) >= WITHOUT_RECIPE


def test_rgb_keeps_its_colours_where_players_take_it_for_hd(clip, settings, tmp_path):
    wanted = [(None, tmp_path / "plain.part")]
    [output] = render(clip("rgb"), probe(clip("rgb"), settings), wanted, settings)
    hd = "scale=in_color_matrix=bt709,format=rgb24"
    picture = ffmpeg("-i", output.path, "-vf", hd, "-f", "rawvideo", "-")
    assert tuple(picture[:3]) == pytest.approx((0x20, 0xC0, 0x40), abs=5)
    assert b"bt709" in described(output.path)


@pytest.mark.parametrize(
    ("side", "left"), [(1, 1), (3, 3), (16, 16), (99, 98), (100, 98), (161, 158), (1080, 1060)]
)
def test_the_largest_zoom_takes_two_percent_at_most(side, left):
    crop = command._crop(MAX_ZOOM, 0.9, 0.9)
    out = ffmpeg("-f", "lavfi", "-i", f"color=s={side}x{side}:d=0.04,format=yuv420p,{crop}",
                 "-f", "framecrc", "-")  # fmt: skip
    assert b"#dimensions 0: %dx%d" % (left, left) in out


def test_fields_of_a_moving_bar_become_whole_pictures(clip, rendered):
    """Between two fields the bar moves on: woven, its edges are combs."""

    def combs(path):
        picture = ffmpeg("-i", path, "-vf", "format=gray", "-f", "rawvideo", "-")
        steps = [abs(above - below) for above, below in zip(picture, picture[160:], strict=False)]
        return sum(steps) / len(steps)

    assert combs(clip("interlaced")) > 10
    assert combs(rendered(clip("interlaced"), 1)[0].path) < 3


def test_two_packets_of_a_field_each_make_one_frame(rendered, tmp_path):
    (tmp_path / "fields.h264").write_bytes(fields.stream(25))
    path = tmp_path / "fields.mp4"
    ffmpeg("-r", "50", "-i", tmp_path / "fields.h264", "-c", "copy", path)
    [output] = rendered(path, 1)
    assert output.media.frames == 25
    assert output.media.packets.duration == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("recipe", NEAR)
def test_sound_stays_in_sync(clip, rendered, recipe):
    for output in rendered(clip("sync"), 2, recipe):
        assert onset(output.path) == pytest.approx((1.0, 1.0), abs=0.04)


def test_sound_that_mp4_can_hold_is_copied_bit_by_bit(clip, rendered):
    packets = [
        ffmpeg("-i", path, "-map", "0:a", "-c", "copy", "-f", "framecrc", "-")
        for path in (clip("plain"), rendered(clip("plain"), 1)[0].path)
    ]
    assert packets[0] == packets[1]


def of_a_new_codec(path, out):
    """Copy a video; its PCM then says it is of a codec that ffmpeg cannot decode."""
    out.write_bytes(path.read_bytes().replace(b"sowt", b"apac"))
    return out


def test_sound_that_nothing_decodes_is_left_out_where_there_is_other(clip, rendered, tmp_path):
    path = of_a_new_codec(clip("pcm-aac"), tmp_path / "x.mp4")
    [output] = rendered(path, 1)
    assert len(output.media.audio) == 1
    assert output.media.audio_duration == pytest.approx(1, abs=0.1)


def test_sound_that_nothing_decodes_is_the_reason_where_there_is_no_other(clip, settings, tmp_path):
    with pytest.raises(Unsupported, match="The sound of this video"):
        probe(of_a_new_codec(clip("pcm"), tmp_path / "x.mp4"), settings)


def test_variable_frame_times_are_kept_exactly(clip, rendered, tmp_path):
    def times(path):
        out = ffmpeg(
            "-i",
            path,
            "-map",
            "0:v",
            "-f",
            "framecrc",
            "-enc_time_base",
            "demux",
            "-fps_mode",
            "passthrough",
            "-",
        )
        lines = out.decode().splitlines()
        base = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
        return [int(line.split(",")[2]) * base for line in lines if not line.startswith("#")]

    assert times(rendered(clip("vfr"), 1)[0].path) == times(clip("vfr"))


def test_no_metadata_of_the_source_comes_along(clip, rendered):
    path = rendered(clip("plain"), 1)[0].path
    assert b"secret" not in path.read_bytes()
    assert b"title" not in described(path)


def test_the_index_comes_first(clip, rendered):
    data = rendered(clip("plain"), 1)[0].path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_subtle_has_no_black_edges(settings, tmp_path):
    white = tmp_path / "white.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=0xc0c0c0:s=160x120:d=0.2", *conftest.H264, white)
    wanted = [(parameters(3, n), tmp_path / f"{n}.part") for n in range(1, 6)]
    for output in render(white, probe(white, settings), wanted, settings):
        picture = ffmpeg("-i", output.path, "-vf", "format=gray", "-f", "rawvideo", "-")
        assert min(picture) > 150


def test_the_same_request_gives_the_same_bytes_however_it_is_grouped(clip, tmp_path):
    def render_all(group, folder):
        settings = Settings(encoding=FAST, group=group)
        (tmp_path / folder).mkdir()
        wanted = [(parameters(7, n), tmp_path / folder / str(n)) for n in (1, 2, 3)]
        source = probe(clip("plain"), settings)
        return [o.path.read_bytes() for o in render(clip("plain"), source, wanted, settings)]

    assert render_all(3, "a") == render_all(3, "b") == render_all(1, "c")


def test_groups_are_yielded_as_they_end(clip, tmp_path):
    settings = Settings(encoding=FAST, group=2)
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(clip("plain"), probe(clip("plain"), settings), wanted, settings)
    assert next(outputs).path == wanted[0][1]
    assert wanted[1][1].exists()
    assert not wanted[2][1].exists()
    assert [output.parameters.index for output in outputs] == [2, 3]


def test_outputs_nobody_came_for_are_removed(clip, settings, tmp_path):
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(clip("plain"), probe(clip("plain"), settings), wanted, settings)
    first = next(outputs)
    outputs.close()
    assert list(tmp_path.iterdir()) == [first.path]


def test_a_cancel_in_mid_render_leaves_no_output(clip, settings, tmp_path):
    cancel = threading.Event()
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(
        clip("plain"),
        probe(clip("plain"), settings),
        wanted,
        settings,
        lambda share: cancel.set(),
        cancel,
    )
    with pytest.raises(Cancelled):
        list(outputs)
    assert list(tmp_path.iterdir()) == []


def test_progress_grows_to_one(clip, settings, tmp_path):
    shares = []
    settings = dataclasses.replace(settings, group=1)
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2)]
    list(render(clip("plain"), probe(clip("plain"), settings), wanted, settings, shares.append))
    assert shares == sorted(shares)
    assert 0.5 in shares
    assert shares[-1] == 1.0


def test_a_setting_that_is_wrong_is_no_fault_of_the_file(clip, settings, tmp_path):
    encoding = dataclasses.replace(FAST, encoder="nonsense")
    settings = dataclasses.replace(settings, encoding=encoding)
    with pytest.raises(EngineError, match="encoder"):
        list(
            render(
                clip("plain"), probe(clip("plain"), settings), [(None, tmp_path / "x")], settings
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_no_encoder_takes_is_no_fault_of_the_machine(clip, settings, tmp_path):
    source = probe(clip("silent"), settings)
    with pytest.raises(Unsupported):
        list(render(clip("tall"), source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_explodes_is_stopped_and_removed(clip, settings, tmp_path, monkeypatch):
    source = probe(clip("plain"), settings)
    tight = dataclasses.replace(limits_for(source, 1, settings), file_bytes=4096)
    monkeypatch.setattr("jobserver.render.variations.limits_for", lambda *_: tight)
    with pytest.raises(TooBig):
        list(render(clip("plain"), source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == []


def test_a_shortened_output_is_never_passed_on(clip, settings, tmp_path):
    short = tmp_path / "short.mp4"
    ffmpeg("-i", clip("plain"), "-t", "1.8", "-c:v", "libx264", "-c:a", "copy", short)
    source = probe(clip("plain"), settings)
    assert shortfall(source, source) == ""
    assert "s of 2.000 s" in shortfall(source, probe(short, settings))


def test_an_output_without_its_sound_is_never_passed_on(clip, settings):
    source, silent = (probe(clip(name), settings) for name in ("plain", "silent"))
    assert shortfall(source, silent) == "0 sound tracks of 1"


def test_a_source_that_shrank_since_the_probe_is_damaged(clip, settings, tmp_path):
    source = probe(clip("faststart"), settings)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip("faststart").read_bytes()[: source.size // 2])
    with pytest.raises(Damaged):
        list(render(cut, source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == [cut]


def test_group_size_follows_memory_and_pixels(clip, settings):
    settings = dataclasses.replace(settings, encoding=Encoding())
    small, uhd = (probe(clip(name), settings) for name in ("plain", "uhd"))
    assert group_size(small, settings) == settings.group
    assert group_size(uhd, settings) < settings.group
    assert group_size(uhd, dataclasses.replace(settings, memory=100 * MIB)) == 1
