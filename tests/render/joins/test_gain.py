"""Outputs are as loud as was asked for, or as loud as their peaks allow; silence stays silent."""

import math
import re
import subprocess
from zlib import crc32

import pytest

from jobserver.render.joins.gain import correction, estimate, first_gain
from jobserver.render.joins.model import Mixing
from jobserver.render.measure import Loudness
from jobserver.render.settings import default_ffmpeg
from jobserver.render.sound import SoundFile

from ..conftest import AAC, H264, ffmpeg


def measured(path):
    """Return integrated loudness and true peak of a file, by ffmpeg's ebur128."""
    command = [default_ffmpeg(), "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    integrated = re.findall(r"^ +I: +(\S+) LUFS", log, re.M)[-1]
    return float(integrated), float(re.findall(r"^ +Peak: +(\S+) dBFS", log, re.M)[-1])


@pytest.fixture
def sounding(part, tmp_path):
    """Return a function that makes a part whose sound is the output of a filter graph."""

    def make(graph, seconds=2):
        path = tmp_path / f"{crc32(graph.encode())}.mp4"
        picture = f"color=0x808080:s=64x64:r=25:d={seconds}"
        sound = f"{graph},atrim=duration={seconds},aformat=channel_layouts=stereo"
        ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *H264, *AAC, path)
        return part(path)

    return make


QUIET = "anoisesrc=c=pink:a=0.01:r=48000:seed=1"
LOUD = "anoisesrc=c=pink:a=0.5:r=48000:seed=2"
CLICKS = r"aevalsrc=0.9*lt(mod(t\,0.5)\,0.0005)+0.004*sin(2*PI*500*t):s=48000"


@pytest.mark.parametrize("target", [-30, -23, -14, -8])
@pytest.mark.parametrize("seconds", [1, 3])
def test_an_output_is_as_loud_as_was_asked_for(sounding, joined, target, seconds):
    output = joined(sounding(QUIET, seconds), sounding(LOUD, seconds), loudness=target)
    integrated, peak = measured(output.path)
    assert (output.loudness.integrated, output.loudness.true_peak) == (integrated, peak)
    if output.loudness.limited:
        assert target == -8
        assert -1.6 <= peak <= -1
    else:
        assert integrated == pytest.approx(target, abs=0.5)
        assert peak <= -1


def test_peaks_limit_how_loud_an_output_becomes(sounding, joined):
    output = joined(sounding(CLICKS), loudness=-14)
    integrated, peak = measured(output.path)
    assert output.loudness == Loudness(integrated, peak, limited=True)
    assert integrated < -20
    assert -1.6 <= peak <= -1


def test_silence_stays_silence(sounding, joined):
    output = joined(sounding("anullsrc=r=48000"), sounding("anullsrc=r=48000", 1), loudness=-14)
    assert output.loudness is None
    assert measured(output.path) == (-70, -math.inf)


@pytest.mark.parametrize("graph", [QUIET, LOUD])
def test_without_a_loudness_a_sound_is_left_as_it_is(sounding, joined, tmp_path, graph):
    output = joined(sounding(graph))
    [source] = tmp_path.glob(f"{crc32(graph.encode())}.mp4")
    assert output.loudness.integrated == pytest.approx(measured(source)[0], abs=0.2)
    assert not output.loudness.limited


def test_without_a_loudness_a_sound_still_stays_within_full_scale(sounding, joined):
    output = joined(sounding("sine=440:r=48000,volume=20:precision=float"))
    assert -0.6 <= measured(output.path)[1] <= 0


def test_a_correction_is_needed_only_for_what_is_not_right():
    assert correction(None, -14) == 0
    assert correction(Loudness(-14.2, -3), -14) == 0
    assert correction(Loudness(-20, -1.3), -14) == 0  # limited already
    assert correction(Loudness(-16, -6), -14) == pytest.approx(2)
    assert correction(Loudness(-16, -2), -14) == pytest.approx(0.8)
    assert correction(Loudness(-14, -0.5), -14) == pytest.approx(-0.7)
    assert correction(Loudness(-10, -3), -14) == pytest.approx(-4)
    assert correction(Loudness(-14, 0.4), None) == pytest.approx(-0.6)
    assert correction(Loudness(-14, -0.4), None) == 0


def sound(*blocks, peak=-3.0):
    return SoundFile(path=None, seconds=0.3 + len(blocks) / 10, blocks=blocks, true_peak=peak)


def test_the_loudness_of_the_whole_is_computed_from_that_of_the_parts():
    loud, quiet, silent = sound(*[-20.0] * 17), sound(*[-23.0] * 17), sound(*[-99.0] * 17)
    halfway = 10 * math.log10((10**-2 + 10**-2.3) / 2)
    mix = estimate([(loud, 2), (quiet, 2), (silent, 2), (None, 2)], Mixing())
    assert mix.integrated == pytest.approx(halfway)
    assert mix.true_peak == -3
    whispered = sound(*[-40.0] * 17)  # is below the gate beside -20
    assert estimate([(loud, 2), (whispered, 2)], Mixing()).integrated == pytest.approx(-20)
    assert estimate([(silent, 2), (None, 1)], Mixing()).integrated == -math.inf
    assert estimate([(loud, 0.2)], Mixing()).integrated == -math.inf


def test_only_the_part_of_a_sound_that_is_used_counts():
    rising = sound(*[-20.0] * 7, *[-10.0] * 10)
    assert estimate([(rising, 1)], Mixing()).integrated == pytest.approx(-20)


def test_music_is_laid_so_many_decibels_under_the_voice():
    voice, music = sound(*[-20.0] * 17), sound(*[-10.0] * 7, peak=-1)
    mix = estimate([(voice, 2)], Mixing(music=music, music_volume=-12))
    assert mix.music_gain == pytest.approx(-22)
    assert mix.integrated == pytest.approx(-20 + 10 * math.log10(1 + 0.7 * 10**-1.2), abs=0.2)
    alone = estimate([(None, 2)], Mixing(music=music, music_volume=-12))
    assert (alone.music_gain, alone.integrated) == (0, pytest.approx(-10))


def test_the_first_gain_leaves_room_for_peaks():
    mix = estimate([(sound(*[-20.0] * 17, peak=-9), 2)], Mixing())
    assert first_gain(mix, -14) == pytest.approx(6)
    assert first_gain(mix, -8) == pytest.approx(7.8)
    assert first_gain(mix, None) == 0
    assert first_gain(estimate([(None, 2)], Mixing()), -14) == 0
