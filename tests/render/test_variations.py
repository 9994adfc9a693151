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
from jobserver.render.variations import group_size, limits_for
from jobserver.render.verify import missing_content

from . import conftest, fields
from .conftest import FAST, described, ffmpeg, onset, ssim

EVERY_KIND = [
    "plain", "faststart", "open-gop", "vfr", "portrait", "silent", "hevc10", "odd", "single",
    "uhd", "wide-pixels", "full-range", "pcm", "two-sounds", "fragmented", "turned",
    "trimmed", "delayed", "timecode", "container-shape", "odd-sounds",
    "interlaced",
]  # fmt: skip
# SSIM to the source: a variation is similar but never identical, an output without a recipe is
# nearly identical.
SIMILARITY = {"subtle": (0.55, 0.995), "classic": (0.55, 0.995)}
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
        low, high = SIMILARITY["subtle"]
        assert low <= ssim(output.path, clip(name)) <= high
        decoded = ffmpeg(
            "-i", output.path, "-map", "0:v", "-f", "framecrc", "-fps_mode", "passthrough", "-"
        )
        assert sum(not line.startswith(b"#") for line in decoded.splitlines()) == source.frames
        assert b"yuv420p" in described(output.path)


@pytest.mark.parametrize("recipe", SIMILARITY)
def test_every_recipe_stays_similar_to_the_source(clip, rendered, recipe):
    low, high = SIMILARITY[recipe]
    outputs = rendered(clip("plain"), 3, recipe)
    assert all(low <= ssim(output.path, clip("plain")) <= high for output in outputs)
    for one, other in itertools.combinations(outputs, 2):
        assert ssim(one.path, other.path) < 0.999


@pytest.mark.parametrize(
    "name", ["plain", "portrait", "hevc10", "odd", "full-range", "wide-pixels"]
)
def test_an_output_without_a_recipe_looks_like_the_source(clip, settings, tmp_path, name):
    wanted = [(None, tmp_path / "plain.part")]
    [output] = render(clip(name), probe(clip(name), settings), wanted, settings)
    assert ssim(output.path, clip(name)) >= WITHOUT_RECIPE


def test_rgb_keeps_its_colours_in_players_that_assume_bt709(clip, settings, tmp_path):
    wanted = [(None, tmp_path / "plain.part")]
    [output] = render(clip("rgb"), probe(clip("rgb"), settings), wanted, settings)
    hd = "scale=in_color_matrix=bt709,format=rgb24"
    picture = ffmpeg("-i", output.path, "-vf", hd, "-f", "rawvideo", "-")
    assert tuple(picture[:3]) == pytest.approx((0x20, 0xC0, 0x40), abs=5)
    assert b"bt709" in described(output.path)


@pytest.mark.parametrize(
    ("side", "left"), [(1, 1), (3, 3), (16, 16), (99, 98), (100, 98), (161, 158), (1080, 1060)]
)
def test_the_largest_zoom_crops_at_most_two_percent(side, left):
    crop = command._crop(MAX_ZOOM, 0.9, 0.9)
    out = ffmpeg("-f", "lavfi", "-i", f"color=s={side}x{side}:d=0.04,format=yuv420p,{crop}",
                 "-f", "framecrc", "-")  # fmt: skip
    assert b"#dimensions 0: %dx%d" % (left, left) in out


def test_interlaced_video_is_deinterlaced(clip, rendered):
    """The bar moves between two fields, so interlaced frames show combing at its edges."""

    def combing(path):
        picture = ffmpeg("-i", path, "-vf", "format=gray", "-f", "rawvideo", "-")
        steps = [abs(above - below) for above, below in zip(picture, picture[160:], strict=False)]
        return sum(steps) / len(steps)

    assert combing(clip("interlaced")) > 10
    assert combing(rendered(clip("interlaced"), 1)[0].path) < 3


def test_two_packets_with_one_field_each_give_one_frame(rendered, tmp_path):
    (tmp_path / "fields.h264").write_bytes(fields.stream(25))
    path = tmp_path / "fields.mp4"
    ffmpeg("-r", "50", "-i", tmp_path / "fields.h264", "-c", "copy", path)
    [output] = rendered(path, 1)
    assert output.media.frames == 25
    assert output.media.packets.duration == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("recipe", SIMILARITY)
def test_audio_stays_in_sync(clip, rendered, recipe):
    for output in rendered(clip("sync"), 2, recipe):
        assert onset(output.path) == pytest.approx((1.0, 1.0), abs=0.04)


@pytest.mark.parametrize("stretches", [None, ("unknown=tempo={},", "atempo={:.6f},")])
def test_a_look_with_a_speed_keeps_every_frame_and_its_sound(
    clip, rendered, monkeypatch, stretches
):
    """Also where an operator's own ffmpeg lacks the better filter."""
    if stretches:
        monkeypatch.setattr("jobserver.render.variations.STRETCHES", stretches)
    source = probe(clip("sync"), Settings())
    for output in rendered(clip("sync"), 2, "bold"):
        speed = output.parameters.values["speed"]
        assert output.media.frames == source.frames
        seconds = source.packets.duration / speed
        assert output.media.packets.duration == pytest.approx(seconds, abs=0.002)
        assert [each.total for each in output.media.sounds] == pytest.approx([seconds], abs=0.06)
        assert onset(output.path) == pytest.approx((1 / speed, 1 / speed), abs=0.045)


def test_a_bold_look_gives_the_same_bytes_again(clip, rendered):
    first = [output.path.read_bytes() for output in rendered(clip("plain"), 2, "bold")]
    assert [output.path.read_bytes() for output in rendered(clip("plain"), 2, "bold")] == first


def test_audio_that_mp4_can_contain_is_copied_unchanged(clip, rendered):
    packets = [
        ffmpeg("-i", path, "-map", "0:a", "-c", "copy", "-f", "framecrc", "-")
        for path in (clip("plain"), rendered(clip("plain"), 1)[0].path)
    ]
    assert packets[0] == packets[1]


def with_unknown_audio_codec(path, out):
    """Copy a video and relabel its PCM track as a codec that ffmpeg cannot decode."""
    out.write_bytes(path.read_bytes().replace(b"sowt", b"apac"))
    return out


def test_audio_that_cannot_be_decoded_is_dropped_if_another_track_can(clip, rendered, tmp_path):
    path = with_unknown_audio_codec(clip("pcm-aac"), tmp_path / "x.mp4")
    [output] = rendered(path, 1)
    assert len(output.media.audio) == 1
    assert output.media.sounds[0].duration == pytest.approx(1, abs=0.1)


def test_a_video_whose_only_audio_cannot_be_decoded_is_refused(clip, settings, tmp_path):
    with pytest.raises(Unsupported, match="The sound of this video"):
        probe(with_unknown_audio_codec(clip("pcm"), tmp_path / "x.mp4"), settings)


def test_timestamps_of_a_variable_frame_rate_are_kept_exactly(clip, rendered, tmp_path):
    def times(path):
        out = ffmpeg("-i", path, "-map", "0:v", "-f", "framecrc", "-enc_time_base", "demux",
                     "-fps_mode", "passthrough", "-")  # fmt: skip
        lines = out.decode().splitlines()
        base = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
        return [int(line.split(",")[2]) * base for line in lines if not line.startswith("#")]

    assert times(rendered(clip("vfr"), 1)[0].path) == times(clip("vfr"))


def test_no_metadata_of_the_source_is_kept(clip, rendered):
    path = rendered(clip("plain"), 1)[0].path
    assert b"secret" not in path.read_bytes()
    assert b"title" not in described(path)


def test_the_index_is_at_the_front(clip, rendered):
    data = rendered(clip("plain"), 1)[0].path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_subtle_has_no_black_edges(settings, tmp_path):
    white = tmp_path / "white.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=0xc0c0c0:s=160x120:d=0.2", *conftest.H264, white)
    wanted = [(parameters(3, n), tmp_path / f"{n}.part") for n in range(1, 6)]
    for output in render(white, probe(white, settings), wanted, settings):
        picture = ffmpeg("-i", output.path, "-vf", "format=gray", "-f", "rawvideo", "-")
        assert min(picture) > 150


def test_the_same_request_gives_the_same_bytes_for_any_group_size(clip, tmp_path):
    def render_all(group, folder):
        settings = Settings(encoding=FAST, group=group)
        (tmp_path / folder).mkdir()
        wanted = [(parameters(7, n), tmp_path / folder / str(n)) for n in (1, 2, 3)]
        source = probe(clip("plain"), settings)
        return [o.path.read_bytes() for o in render(clip("plain"), source, wanted, settings)]

    assert render_all(3, "a") == render_all(3, "b") == render_all(1, "c")


def test_a_group_is_yielded_before_the_next_one_starts(clip, tmp_path):
    settings = Settings(encoding=FAST, group=2)
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(clip("plain"), probe(clip("plain"), settings), wanted, settings)
    assert next(outputs).path == wanted[0][1]
    assert wanted[1][1].exists()
    assert not wanted[2][1].exists()
    assert [output.parameters.index for output in outputs] == [2, 3]


def test_outputs_not_yet_consumed_are_removed_on_close(clip, settings, tmp_path):
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(clip("plain"), probe(clip("plain"), settings), wanted, settings)
    first = next(outputs)
    outputs.close()
    assert list(tmp_path.iterdir()) == [first.path]


def test_a_render_that_is_cancelled_leaves_no_output(clip, settings, tmp_path):
    cancel = threading.Event()
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    outputs = render(
        clip("plain"),
        probe(clip("plain"), settings),
        wanted,
        settings,
        on_progress=lambda share: cancel.set(),
        cancel=cancel,
    )
    with pytest.raises(Cancelled):
        list(outputs)
    assert list(tmp_path.iterdir()) == []


def test_progress_never_decreases_and_reaches_one(clip, settings, tmp_path):
    shares = []
    settings = dataclasses.replace(settings, group=1)
    wanted = [(parameters(7, n), tmp_path / f"{n}.part") for n in (1, 2)]
    source = probe(clip("plain"), settings)
    list(render(clip("plain"), source, wanted, settings, on_progress=shares.append))
    assert shares == sorted(shares)
    assert 0.5 in shares
    assert shares[-1] == 1.0


def test_a_wrong_encoder_setting_is_an_engine_error(clip, settings, tmp_path):
    encoding = dataclasses.replace(FAST, encoder="nonsense")
    settings = dataclasses.replace(settings, encoding=encoding)
    source = probe(clip("plain"), settings)
    with pytest.raises(EngineError, match="encoder"):
        list(render(clip("plain"), source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_size_that_the_encoder_refuses_is_a_media_error(clip, settings, tmp_path):
    source = probe(clip("silent"), settings)
    with pytest.raises(Unsupported):
        list(render(clip("tall"), source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == []


def test_an_output_beyond_its_size_limit_is_removed(clip, settings, tmp_path, monkeypatch):
    source = probe(clip("plain"), settings)
    tight = dataclasses.replace(limits_for(source, 1, settings), file_bytes=4096)
    monkeypatch.setattr("jobserver.render.variations.limits_for", lambda *_: tight)
    with pytest.raises(TooBig):
        list(render(clip("plain"), source, [(None, tmp_path / "x")], settings))
    assert list(tmp_path.iterdir()) == []


def test_a_shortened_output_is_refused(clip, settings, tmp_path):
    short = tmp_path / "short.mp4"
    ffmpeg("-i", clip("plain"), "-t", "1.8", "-c:v", "libx264", "-c:a", "copy", short)
    source = probe(clip("plain"), settings)
    assert missing_content(source, source) == ""
    assert "s of 2.000 s" in missing_content(source, probe(short, settings))


def test_an_output_without_its_audio_is_refused(clip, settings):
    source, silent = (probe(clip(name), settings) for name in ("plain", "silent"))
    assert missing_content(source, silent) == "0 sound tracks of 1"


def test_a_source_truncated_after_the_probe_is_damaged(clip, settings, tmp_path):
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
