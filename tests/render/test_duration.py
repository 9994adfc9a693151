"""The duration is what a player shows, whatever the header says; edits are bounded."""

import pytest

from jobserver.render import probe
from jobserver.render.boxes import MAX_EDITS
from jobserver.render.errors import TooLong, Unsupported

from .conftest import AAC, H264, PATTERN, ffmpeg
from .edits import field, track_at, with_edits, with_field


@pytest.fixture
def changed(clip, tmp_path):
    """Return a function that writes a changed copy of the clip `plain`."""

    def write(change):
        path = tmp_path / "x.mp4"
        path.write_bytes(change(clip("plain").read_bytes()))
        return path

    return write


def seconds(data, count):
    return count * field(data, b"mvhd", 12)


@pytest.mark.parametrize("declared", [0, 1, 3542, 36_000])
def test_a_header_that_is_wrong_is_not_shown(changed, settings, declared):
    path = changed(lambda data: with_field(data, b"mvhd", 16, seconds(data, declared)))
    assert probe(path, settings).duration == pytest.approx(2, abs=0.1)


def test_a_timescale_of_the_header_that_is_wrong_is_not_shown(changed, settings):
    path = changed(lambda data: with_field(data, b"mvhd", 12, field(data, b"mvhd", 12) // 1000))
    assert probe(path, settings).duration < 3600


def test_a_picture_that_lasts_longer_than_the_header_says_is_shown(clip, settings, tmp_path):
    """The ticks of its track are 1280 times as long, and there is no edit list to end it."""
    data = clip("silent").read_bytes().replace(b"edts", b"free")
    data = with_field(data, b"mdhd", 12, field(data, b"mdhd", 12) // 1280)
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    assert probe(path, settings).duration == pytest.approx(2 * 1280, rel=0.05)


def test_sound_that_lasts_longer_than_the_header_says_is_shown(settings, tmp_path):
    ffmpeg(*PATTERN, "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=60", *H264, *AAC,
           tmp_path / "long.mp4")  # fmt: skip
    data = (tmp_path / "long.mp4").read_bytes()
    path = tmp_path / "x.mp4"
    path.write_bytes(with_field(data, b"mvhd", 16, seconds(data, 2)))
    assert probe(path, settings).duration == pytest.approx(60, abs=0.2)


@pytest.mark.parametrize("name", ["plain", "trimmed", "delayed", "fragmented", "vfr", "single"])
def test_the_duration_of_common_clips_is_that_of_a_player(clip, settings, name):
    shown = {"trimmed": 1.5, "delayed": 5, "single": 0.04}
    assert probe(clip(name), settings).duration == pytest.approx(shown.get(name, 2), abs=0.1)


def test_edits_that_show_the_same_part_again_count(changed, settings):
    path = changed(lambda data: with_edits(with_edits(data, 50), 50, track=1))
    media = probe(path, settings)
    assert media.duration == pytest.approx(100, rel=0.02)
    assert media.frames == pytest.approx(50 * 50, rel=0.05)


def test_edits_that_repeat_a_clip_for_hours_are_refused_before_ffmpeg_starts(
    changed, settings, monkeypatch
):
    monkeypatch.setattr("jobserver.render.ffmpeg.run", None)
    path = changed(lambda data: with_field(with_edits(data, 100), b"elst", 8, seconds(data, 3600)))
    with pytest.raises(TooLong, match=r"1:03:18"):
        probe(path, settings)


@pytest.mark.parametrize("count", [MAX_EDITS + 1, 20_000])
def test_thousands_of_edits_are_refused_before_ffmpeg_starts(changed, settings, monkeypatch, count):
    monkeypatch.setattr("jobserver.render.ffmpeg.run", None)
    with pytest.raises(Unsupported, match=rf"too many cuts: {count + 1} \(at most {MAX_EDITS}\)"):
        probe(changed(lambda data: with_edits(data, count)), settings)


def test_edits_that_are_declared_without_room_for_them_are_not_counted(changed, settings):
    path = changed(lambda data: with_field(data, b"elst", 4, 2**32 - 1, track_at(data, 0)))
    assert probe(path, settings).frames == 50
