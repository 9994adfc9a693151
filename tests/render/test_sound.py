"""Sound is decoded before it is copied: an output never gets sound that nobody can hear."""

import dataclasses

import pytest

from jobserver.render import parameters, probe, render
from jobserver.render.errors import Damaged, DamagedSound, Truncated
from jobserver.render.verify import missing_content

from .conftest import AAC, H264, PATTERN, TONE, ffmpeg
from .edits import field, track_at, with_field, with_random_samples

SOUNDS = {
    "aac": AAC,
    "aac-5.1": (*AAC, "-ac", "6"),
    "mp3": ("-c:a", "libmp3lame"),
    "ac3": ("-c:a", "ac3"),
    "eac3": ("-c:a", "eac3"),
    "opus": ("-c:a", "libopus"),
    "flac": ("-c:a", "flac"),
    "alac": ("-c:a", "alac"),
}


@pytest.fixture
def with_sound(tmp_path):
    """Return a function that makes a clip with sound in this codec."""

    def make(codec):
        path = tmp_path / f"{codec}.mp4"
        ffmpeg(*PATTERN, *TONE, *H264, *SOUNDS[codec], path)
        return path

    return make


@pytest.fixture
def damaged(tmp_path):
    """Return a function that copies a clip and changes its sound with a bitstream filter."""

    def change(path, noise):
        out = tmp_path / "damaged.mp4"
        ffmpeg("-i", path, "-map", "0", "-c", "copy", "-bsf:a", noise, out)
        return out

    return change


@pytest.mark.parametrize("codec", SOUNDS)
def test_whole_sound_of_every_codec_is_rendered(with_sound, rendered, codec):
    [output] = rendered(with_sound(codec), 1)
    assert output.media.sounds[0].total == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("codec", SOUNDS)
def test_random_bytes_in_every_sample_of_the_sound_are_said(with_sound, settings, codec):
    path = with_sound(codec)
    path.write_bytes(with_random_samples(path.read_bytes(), track=1))
    with pytest.raises(DamagedSound, match=r"^The sound of this video is damaged"):
        probe(path, settings)


def test_random_bytes_in_the_second_track_are_said(clip, settings, tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(with_random_samples(clip("two-sounds").read_bytes(), track=2))
    with pytest.raises(DamagedSound):
        probe(path, settings)


def test_sound_that_is_missing_in_the_middle_is_said(clip, damaged, settings):
    path = damaged(clip("plain"), "noise=drop=between(pts*tb\\,0.5\\,1)")
    with pytest.raises(DamagedSound):
        probe(path, settings)


def test_a_tenth_of_the_sound_with_random_bytes_is_said(clip, damaged, settings):
    path = damaged(clip("plain"), "noise=amount=between(n\\,40\\,50)")
    with pytest.raises(DamagedSound):
        probe(path, settings)


def test_a_hiccup_of_the_sound_is_rendered(clip, damaged, rendered):
    """As cameras leave it: a player clicks and goes on."""
    [output] = rendered(damaged(clip("plain"), "noise=amount=between(n\\,40\\,41)"), 1)
    assert output.media.sounds[0].total == pytest.approx(2, abs=0.1)


def test_damaged_sound_that_is_encoded_again_is_said(clip, settings, tmp_path):
    """Any bytes are valid PCM, but there are half as many as are declared."""
    data = clip("pcm").read_bytes()
    sound = track_at(data, 1)
    path = tmp_path / "x.mp4"
    path.write_bytes(with_field(data, b"stts", 8, field(data, b"stts", 8, sound) * 2, sound))
    with pytest.raises(DamagedSound):
        probe(path, settings)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.5, 100])
def test_sound_with_fewer_or_more_samples_than_it_declares_is_said(clip, settings, tmp_path, share):
    """The number of samples with a size, and the number of those with a duration, differ."""
    data = clip("plain").read_bytes()
    sound = track_at(data, 1)
    count = field(data, b"stts", 8, sound)
    path = tmp_path / "x.mp4"
    path.write_bytes(with_field(data, b"stts", 8, int(count / share), sound))
    if share > 1:
        path.write_bytes(with_field(data, b"stsz", 8, int(count / share), sound))
    with pytest.raises((DamagedSound, Truncated)):
        probe(path, settings)


def test_sound_in_damaged_fragments_is_said(clip, damaged, settings, tmp_path):
    path = tmp_path / "x.mp4"
    ffmpeg("-i", damaged(clip("plain"), "noise=amount=gt(n\\,0)"), "-c", "copy", "-movflags",
           "+frag_keyframe+empty_moov", path)  # fmt: skip
    with pytest.raises(DamagedSound):
        probe(path, settings)


@pytest.mark.parametrize("seconds", ["0.5", "1", "5"])
def test_whole_sound_shorter_or_longer_than_the_picture_is_rendered(rendered, tmp_path, seconds):
    ffmpeg(*PATTERN, "-f", "lavfi", "-i", f"sine=440:d={seconds}", *H264, *AAC, tmp_path / "x.mp4")
    [output] = rendered(tmp_path / "x.mp4", 1)
    assert output.media.sounds[0].total == pytest.approx(float(seconds), abs=0.1)


def test_an_output_that_lost_part_of_any_track_of_sound_is_refused(clip, settings):
    source = probe(clip("two-sounds"), settings)
    first, second = source.sounds
    hole = dataclasses.replace(second, total=second.total - 0.5)
    assert missing_content(source, source) == ""
    lost = dataclasses.replace(source, sounds=(first, hole))
    assert "s of sound, not 2" in missing_content(source, lost)


def test_sound_that_outputs_share_is_decoded_in_one_of_them(clip, settings, tmp_path, monkeypatch):
    commands = []
    run = render.__globals__["ffmpeg"].run

    def listen(command, *args, **kwargs):
        commands.append(command)
        return run(command, *args, **kwargs)

    monkeypatch.setattr("jobserver.render.ffmpeg.run", listen)
    wanted = [(parameters(1, n), tmp_path / f"{n}.part") for n in (1, 2, 3)]
    list(render(clip("plain"), probe(clip("plain"), settings), wanted, settings))
    assert [command.count("pcm_s16le") for command in commands] == [1, 0, 1]
    assert len(commands) == 3  # probe, render, verify


def test_a_damaged_sound_is_a_damaged_video():
    assert issubclass(DamagedSound, Damaged)
