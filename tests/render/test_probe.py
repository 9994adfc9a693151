import re
import struct

import pytest

from jobserver.render import Cancelled, Settings, probe
from jobserver.render import ffmpeg as ffmpeg_process
from jobserver.render.errors import NoVideo, TooLarge, TooLong, Unsupported

from .conftest import described, ffmpeg


def test_a_common_clip_is_fully_described(clip, settings):
    media = probe(clip("plain"), settings)
    assert (media.video.codec, media.displayed, media.frames) == ("h264", (160, 120), 50)
    assert media.duration == pytest.approx(2, abs=0.05)
    assert media.packets.duration == pytest.approx(50 / 25)
    assert [audio.codec for audio in media.audio] == ["aac"]
    assert media.audio[0].copyable
    assert (media.video.rotation, media.packets.longest) == (0, pytest.approx(1 / 25))
    assert media.size == clip("plain").stat().st_size


def test_a_rotated_clip_is_displayed_upright(clip, settings):
    media = probe(clip("portrait"), settings)
    assert (media.video.width, media.video.height) == (160, 120)
    assert media.video.rotation in (90, 270)
    assert media.displayed == (120, 160)


@pytest.mark.parametrize(
    ("name", "displayed"),
    [
        ("wide-pixels", (213, 120)),
        ("container-shape", (120, 120)),
        ("square-turned", (68, 120)),
        ("timecode", (160, 120)),
        ("forged", (160, 120)),
        ("wordy", (160, 120)),
    ],
)
def test_the_display_size_is_that_of_a_player(clip, settings, name, displayed):
    assert probe(clip(name), settings).displayed == displayed


def test_audio_tracks_keep_their_sequence_when_a_timecode_refers_to_one(clip, settings, tmp_path):
    """ffmpeg prints the streams of a timecode's group first; the second audio track is in one."""
    ffmpeg("-i", clip("two-sounds"), "-map", "0", "-c", "copy",
           "-timecode", "01:00:00:00", tmp_path / "plain.mp4")  # fmt: skip
    path = tmp_path / "x.mp4"
    path.write_bytes(referring((tmp_path / "plain.mp4").read_bytes(), track=2, to=4))
    assert described(path).index(b"Stream #0:2") < described(path).index(b"Stream #0:1")
    assert [audio.stream for audio in probe(path, settings).audio] == [1, 2]


def referring(data, track, to):
    """Append to a track a reference to the timecode track `to`; moov must be the last box."""
    at = [found.start() - 4 for found in re.finditer(b"trak", data)][track]
    end = at + int.from_bytes(data[at : at + 4])
    data = bytearray(data)
    data[end:end] = struct.pack(">I4sI4sI", 20, b"tref", 12, b"tmcd", to)
    for box in (at, data.index(b"moov") - 4):
        struct.pack_into(">I", data, box, int.from_bytes(data[box : box + 4]) + 20)
    return bytes(data)


def test_pcm_cannot_be_copied(clip, settings):
    assert not probe(clip("pcm"), settings).audio[0].copyable


def test_ten_bit_hevc_is_recognised(clip, settings):
    assert probe(clip("hevc10"), settings).video.codec == "hevc"


def test_a_fragmented_file_is_read(clip, settings):
    assert probe(clip("fragmented"), settings).frames == 50


def test_a_file_with_audio_only_is_refused(clip, settings):
    with pytest.raises(NoVideo, match="no video"):
        probe(clip("sound-only"), settings)


def test_an_encrypted_video_is_refused_as_encrypted(clip, settings):
    with pytest.raises(Unsupported, match="encrypted"):
        probe(clip("encrypted"), settings)


def test_too_many_pixels_are_refused_with_their_number(clip, settings):
    with pytest.raises(TooLarge, match=r"too large: 8192 x 8192 pixels \(at most 9\.4 million\)"):
        probe(clip("huge"), settings)


def test_a_side_beyond_the_limit_of_x264_is_refused_with_its_number(clip, settings):
    with pytest.raises(TooLarge, match=r"2 x 16386 pixels \(at most 16384 a side\)"):
        probe(clip("tall"), settings)


def test_ten_hours_are_refused_with_the_duration(clip, settings):
    with pytest.raises(TooLong, match=r"too long: 10:00:00 \(at most 1:00:00\)"):
        probe(clip("long"), settings)


def test_limits_come_from_the_settings(clip):
    with pytest.raises(TooLong):
        probe(clip("plain"), Settings(max_duration=1.5))
    with pytest.raises(TooLarge):
        probe(clip("plain"), Settings(max_pixels=160 * 120 - 1))
    assert probe(clip("plain"), Settings(max_pixels=160 * 120)).frames == 50


def test_the_timeout_grows_with_the_file_size(clip, settings, tmp_path, monkeypatch):
    path = tmp_path / "x.mp4"
    path.write_bytes(clip("plain").read_bytes())
    with path.open("ab") as file:
        file.truncate(2_000_000_000)
    walls = []

    def run(command, limits, *_, **__):
        walls.append(limits.wall_s)
        raise Cancelled

    monkeypatch.setattr(ffmpeg_process, "run", run)
    with pytest.raises(Cancelled):
        probe(path, settings)
    assert walls == [pytest.approx(60 + 100, abs=0.1)]


@pytest.mark.parametrize("name", ["a:b.mp4", "%d.mp4", "-i.mp4", "é ü.mp4", "'[0]; rm.mp4"])
def test_special_characters_in_a_name_have_no_effect(clip, settings, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(clip("plain").read_bytes())
    assert probe(tmp_path.__class__(name), settings).frames == 50
