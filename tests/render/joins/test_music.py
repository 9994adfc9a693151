"""Music under the parts of an output: repeated, faded out, so many dB below the voice."""

import math

import pytest

from jobserver.render.sound import probe_music, render_music

from ..conftest import ffmpeg
from ..sound.signals import RATE, onsets, pcm
from .support import complaints, flashing
from .test_gain import measured

BEEP = "aevalsrc=0.4*sin(2*PI*1000*t)*between(t\\,0.3\\,0.35):s=48000:d=0.7"


@pytest.fixture
def music(settings, tmp_path):
    """Return a function that makes the sound of a music file."""

    def make(graph):
        path, out = tmp_path / "music.mp3", tmp_path / "music.flac"
        ffmpeg("-f", "lavfi", "-i", graph, "-c:a", "libmp3lame", path)
        return render_music(path, probe_music(path, settings), out, settings, seconds=60)

    return make


def level(samples, start, end):
    """Return the level of some seconds in dBFS."""
    chosen = samples[round(start * RATE) : round(end * RATE)]
    return 10 * math.log10(sum(value * value for value in chosen) / len(chosen))


def test_music_is_repeated_to_the_end_and_fades_out_there(part, joined, music, tmp_path):
    mute = part(flashing(tmp_path / "mute.mp4", "25", sound=False))
    output = joined(mute, mute, mute, music=music(BEEP))
    samples = pcm(output.path)
    assert len(samples) == round(3.6 * RATE)
    found = onsets(samples, 0.02)
    assert found == pytest.approx([0.3, 1, 1.7, 2.4, 3.1], abs=0.02)
    assert max(samples[int(3.1 * RATE) : int(3.2 * RATE)]) < 0.6 * max(samples)
    assert complaints(output.path) == ""


def test_music_that_is_longer_than_the_picture_ends_with_it(part, joined, music, tmp_path):
    mute = part(flashing(tmp_path / "mute.mp4", "25", sound=False))
    output = joined(mute, music=music("sine=440:d=5:r=48000"))
    samples = pcm(output.path)
    assert len(samples) == round(1.2 * RATE)
    assert level(samples, 1.15, 1.2) < level(samples, 0.1, 0.8) - 12


@pytest.mark.parametrize("volume", [-6, -20])
def test_music_is_so_many_decibels_below_the_voice(part, joined, music, tmp_path, volume):
    """A voice of 2 kHz for the first part, then only the music."""
    voice = tmp_path / "voice.mp4"
    picture = "color=0x808080:s=64x64:r=25:d=2"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=2000:d=2:r=48000", voice)
    mute = part(flashing(tmp_path / "mute.mp4", "25", sound=False))
    sound = music("sine=500:d=9:r=48000")
    output = joined(part(voice), mute, music=sound, music_volume=volume, loudness=-14)
    assert measured(output.path)[0] == pytest.approx(-14, abs=0.5)
    samples = pcm(output.path, "highpass=1200,highpass=1200")
    music_alone = pcm(output.path, "lowpass=900,lowpass=900")
    difference = level(music_alone, 0.5, 1.5) - level(samples, 0.5, 1.5)
    assert difference == pytest.approx(volume + 2.5, abs=2)  # BS.1770 hears 2 kHz 2 dB louder


def test_music_that_adds_up_with_the_voice_is_still_as_loud_as_asked(part, joined, music, tmp_path):
    """The same tone in both: their energies do not just add up, so the gain is corrected."""
    voice = tmp_path / "voice.mp4"
    picture = "color=0x808080:s=64x64:r=25:d=2"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=500:d=2:r=48000", voice)
    output = joined(part(voice), music=music("sine=500:d=3:r=48000"), music_volume=0, loudness=-20)
    integrated, peak = measured(output.path)
    assert integrated == pytest.approx(-20, abs=0.5)
    assert peak <= -1
