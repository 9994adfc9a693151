"""The sound of a part: as long as the picture, in time with it, at its pitch."""

import threading

import pytest

from jobserver.brief.timeline import SoundShape
from jobserver.render import Cancelled, probe
from jobserver.render.sound import SoundFile, render_sounds
from jobserver.render.sound.files import HEADROOM

from ..conftest import AAC, H264, PATTERN, ffmpeg
from .signals import RATE, onsets, pcm, pitch

LOUDER = f"volume={HEADROOM:g}:precision=float"
BEEP = "0.4*sin(2*PI*1000*t)*between(mod(t\\,0.5)\\,0.25\\,0.3)"
BEEPS = ("-f", "lavfi", "-i", f"aevalsrc={BEEP}:s=48000:d=2")


@pytest.fixture
def sounds_of(settings, tmp_path):
    """Return a function that writes the sound of a file at some speeds."""

    def run(path, *speeds, seconds=None):
        wanted = [
            (SoundShape(speed=speed, seconds=seconds), tmp_path / f"{speed}.flac")
            for speed in speeds
        ]
        return render_sounds(path, probe(path, settings), wanted, settings)

    return run


@pytest.fixture
def beeps(tmp_path):
    """A clip of 2 s that beeps at 0.25 s, 0.75 s, 1.25 s and 1.75 s."""
    ffmpeg(*PATTERN, *BEEPS, *H264, *AAC, tmp_path / "beeps.mp4")
    return tmp_path / "beeps.mp4"


@pytest.mark.parametrize("speed", [0.5, 0.8, 1, 1.25, 2])
def test_a_sound_is_in_time_and_at_its_pitch_at_every_speed(sounds_of, beeps, speed):
    [sound] = sounds_of(beeps, speed)
    samples = pcm(sound.path, LOUDER)
    assert len(samples) == round(2 * RATE / speed)
    expected = [at / speed for at in (0.25, 0.75, 1.25, 1.75)]
    assert onsets(samples) == pytest.approx(expected, abs=0.015)
    middle = int((expected[1] + 0.01) * RATE)
    assert pitch(samples[middle : middle + RATE // 50]) == pytest.approx(1000, rel=0.03)


def test_a_sound_is_cut_or_filled_with_silence_to_the_length_of_its_shape(sounds_of, clip):
    [short] = sounds_of(clip("plain"), 1, seconds=0.1234)
    assert len(pcm(short.path)) == round(0.1234 * RATE)
    [long] = sounds_of(clip("plain"), 1, seconds=3)
    samples = pcm(long.path)
    assert len(samples) == 3 * RATE
    assert max(map(abs, samples[: 2 * RATE])) > 0.01
    assert max(map(abs, samples[int(2.05 * RATE) :])) < 1e-6


@pytest.mark.parametrize(
    ("late", "expected"), [("0.4", [0.65, 1.15, 1.65]), ("-0.2", [0.05, 0.55, 1.05, 1.55])]
)
def test_a_sound_that_begins_after_or_before_the_picture_stays_in_time(
    sounds_of, beeps, tmp_path, late, expected
):
    path = tmp_path / "late.mp4"
    ffmpeg("-i", beeps, "-itsoffset", late, "-i", beeps, "-map", "0:v", "-map", "1:a", "-c", "copy",
           path)  # fmt: skip
    [sound] = sounds_of(path, 1)
    assert sound.seconds == 2
    assert onsets(pcm(sound.path, LOUDER)) == pytest.approx(expected, abs=0.03)


def test_a_picture_that_begins_late_takes_its_sound_along(sounds_of, beeps, tmp_path):
    path = tmp_path / "late.mp4"
    ffmpeg("-i", beeps, "-itsoffset", "0.4", "-i", beeps, "-map", "1:v", "-map", "0:a", "-c",
           "copy", path)  # fmt: skip
    [sound] = sounds_of(path, 1)
    assert onsets(pcm(sound.path, LOUDER)) == pytest.approx([0.35, 0.85, 1.35], abs=0.03)


@pytest.mark.parametrize("form", ["-ac 1 -ar 8000", "-ac 1 -ar 96000", "-ac 6 -ar 48000",
                                  "-ac 2 -ar 11025", "-ac 2 -ar 44100"])  # fmt: skip
def test_every_form_of_sound_becomes_48_khz_stereo(sounds_of, tmp_path, form):
    path = tmp_path / "x.mp4"
    ffmpeg(*PATTERN, "-f", "lavfi", "-i", "sine=440:d=2,volume=2", *H264, *AAC, *form.split(), path)
    [sound] = sounds_of(path, 1)
    both = ffmpeg("-i", sound.path, "-f", "s16le", "-")
    assert len(both) == 2 * RATE * 2 * 2
    samples = pcm(sound.path, LOUDER)
    assert pitch(samples[RATE // 2 : RATE]) == pytest.approx(440, rel=0.01)
    assert max(samples) > 0.1


def test_peaks_beyond_full_scale_are_kept(sounds_of, tmp_path):
    path = tmp_path / "loud.mp4"
    ffmpeg(*PATTERN, "-f", "lavfi", "-i", "sine=440:d=2,volume=20:precision=float", *H264, *AAC,
           path)  # fmt: skip
    [sound] = sounds_of(path, 1)
    assert max(pcm(sound.path, LOUDER)) == pytest.approx(1.77, rel=0.1)
    assert sound.true_peak == pytest.approx(5, abs=0.5)


def test_what_a_sound_holds_is_measured(sounds_of, clip, tmp_path):
    """A mono sine with a peak of -18 dBFS, in two channels 3 dB lower: as loud as it was."""
    [sound] = sounds_of(clip("plain"), 1)
    assert len(sound.blocks) == 17
    assert sound.blocks[5] == pytest.approx(-21.7, abs=0.3)
    assert sound.true_peak == pytest.approx(-21, abs=0.5)
    assert SoundFile.from_facts(sound.path, sound.facts()) == sound


def test_silence_is_measured_as_silence(sounds_of, tmp_path):
    path = tmp_path / "silence.mp4"
    ffmpeg(*PATTERN, "-f", "lavfi", "-i", "anullsrc=d=2", *H264, *AAC, path)
    [sound] = sounds_of(path, 1)
    assert max(sound.blocks) < -70
    assert sound.true_peak == float("-inf")
    assert SoundFile.from_facts(sound.path, sound.facts()) == sound


def test_equal_sounds_have_equal_bytes(sounds_of, beeps):
    first = [sound.path.read_bytes() for sound in sounds_of(beeps, 1, 1.25)]
    assert [sound.path.read_bytes() for sound in sounds_of(beeps, 1, 1.25)] == first


def test_an_ffmpeg_without_the_better_stretch_uses_the_other(sounds_of, beeps, monkeypatch):
    stretches = ("unknown=tempo={},", "atempo={:.6f},")
    monkeypatch.setattr("jobserver.render.sound.parts.STRETCHES", stretches)
    [sound] = sounds_of(beeps, 1.25)
    assert sound.seconds == 1.6
    assert onsets(pcm(sound.path, LOUDER)) == pytest.approx([0.2, 0.6, 1, 1.4], abs=0.03)


def test_nothing_is_left_of_sounds_that_are_cancelled(settings, clip, tmp_path):
    cancel = threading.Event()
    cancel.set()
    media = probe(clip("plain"), settings)
    with pytest.raises(Cancelled):
        render_sounds(clip("plain"), media, [(SoundShape(), tmp_path / "x.flac")], settings,
                      cancel=cancel)  # fmt: skip
    assert list(tmp_path.iterdir()) == []
