import pytest

from jobserver.render import Settings, probe
from jobserver.render.errors import NoVideo, TooLarge, TooLong


def test_a_common_clip_is_described_in_full(clip, settings):
    media = probe(clip("plain"), settings)
    assert (media.video.codec, media.displayed, media.frames) == ("h264", (160, 120), 50)
    assert media.duration == pytest.approx(2, abs=0.05)
    assert media.frame_rate == pytest.approx(25)
    assert [audio.codec for audio in media.audio] == ["aac"]
    assert media.audio[0].copyable
    assert (media.video.rotation, media.variable, media.tracks) == (0, False, 2)
    assert media.size == clip("plain").stat().st_size


def test_a_portrait_clip_is_shown_upright(clip, settings):
    media = probe(clip("portrait"), settings)
    assert (media.video.width, media.video.height) == (160, 120)
    assert media.video.rotation in (90, 270)
    assert media.displayed == (120, 160)


def test_wide_pixels_widen_what_is_shown(clip, settings):
    assert probe(clip("wide-pixels"), settings).displayed == (213, 120)


def test_variable_frame_rate_is_noticed(clip, settings):
    assert probe(clip("vfr"), settings).variable


def test_pcm_cannot_be_copied(clip, settings):
    assert not probe(clip("pcm"), settings).audio[0].copyable


def test_ten_bit_hevc_is_named(clip, settings):
    assert probe(clip("hevc10"), settings).video.codec == "hevc"


def test_fragments_are_read_too(clip, settings):
    assert probe(clip("fragmented"), settings).frames == 50


def test_sound_alone_is_no_video(clip, settings):
    with pytest.raises(NoVideo, match="no video"):
        probe(clip("sound-only"), settings)


def test_too_many_pixels_are_refused_with_their_number(clip, settings):
    with pytest.raises(TooLarge, match=r"too large: 8192 x 8192 pixels \(at most 9\.4 million\)"):
        probe(clip("huge"), settings)


def test_ten_hours_are_refused_with_their_number(clip, settings):
    with pytest.raises(TooLong, match=r"too long: 10:00:00 \(at most 1:00:00\)"):
        probe(clip("long"), settings)


def test_limits_are_the_callers(clip):
    with pytest.raises(TooLong):
        probe(clip("plain"), Settings(max_duration=1.5))
    with pytest.raises(TooLarge):
        probe(clip("plain"), Settings(max_pixels=160 * 120 - 1))
    assert probe(clip("plain"), Settings(max_pixels=160 * 120)).frames == 50


@pytest.mark.parametrize("name", ["a:b.mp4", "%d.mp4", "-i.mp4", "é ü.mp4", "'[0]; rm.mp4"])
def test_odd_names_are_only_names(clip, settings, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(clip("plain").read_bytes())
    assert probe(tmp_path.__class__(name), settings).frames == 50
