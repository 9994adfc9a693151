"""Outputs that are broken on purpose are caught; whole ones are measured."""

import math
import random
import wave
from array import array

import numpy
import pyloudnorm
import pytest

from jobserver.render import parameters, probe, render
from jobserver.render.errors import Damaged
from jobserver.render.measure import Fingerprint, decode
from jobserver.render.verify import verify

from ..conftest import AAC, H264, ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=4")
RATE = 48_000
SOUND = ("-f", "lavfi", "-i", "sine=440:d=4")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("gate") / "source.mp4"
    ffmpeg(*PICTURE, *SOUND, *H264, *AAC, path)
    return path


@pytest.fixture
def made(source, settings, tmp_path):
    """What a source is, its fingerprint, and two outputs of it."""
    media, seen = probe(source, settings), []
    wanted = [(parameters(7, n), tmp_path / f"{n}.mp4") for n in (1, 2)]
    outputs = list(render(source, media, wanted, settings, on_source=seen.append))
    [picture] = seen
    return media, picture, [output.path for output in outputs]


BROKEN = {
    "black": (("-vf", "drawbox=c=black:t=fill:enable=gte(t\\,2)", *H264, "-c:a", "copy"), "black"),
    "frozen": (("-vf", "loop=loop=30:size=1:start=10,trim=end_frame=40", *H264, "-c:a", "copy"),
               "frozen"),
    "mute": (("-c:v", "copy", "-af", "volume=0", *AAC), "silent"),
    "no sound": (("-c:v", "copy", "-an"), "matches no streams"),
    "short sound": (("-c:v", "copy", "-af", "atrim=end=3", *AAC), "s of sound"),
    "short": (("-t", "3", "-c", "copy"), "s of 4.000 s"),
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_an_output_broken_on_purpose_is_caught(made, settings, tmp_path, how):
    media, picture, paths = made
    options, reason = BROKEN[how]
    assert len(verify(paths, media, settings, picture=picture)) == 2
    ffmpeg("-i", paths[1], *options, tmp_path / "broken.mp4")
    (tmp_path / "broken.mp4").replace(paths[1])
    with pytest.raises(Damaged) as caught:
        verify(paths, media, settings, picture=picture)
    assert reason in caught.value.detail


def test_a_picture_that_cannot_be_decoded_is_caught(made, settings):
    media, picture, paths = made
    data = bytearray(paths[0].read_bytes())
    begin = data.index(b"mdat")
    data[begin + 2000 : begin + 2200] = bytes(200)
    paths[0].write_bytes(data)
    with pytest.raises(Damaged):
        verify(paths, media, settings, picture=picture)


def test_nothing_is_left_beside_what_was_decoded(made, settings, tmp_path):
    media, _, paths = made
    verify(paths, media, settings)
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_the_source_s_picture_is_that_of_an_output_that_changes_nothing(source, settings, tmp_path):
    media, seen = probe(source, settings), []
    wanted = [(None, tmp_path / "same.mp4")]
    [same] = render(source, media, wanted, settings, on_source=seen.append)
    [picture] = seen
    assert picture.frames == 8
    found = sum(
        (x ^ y).bit_count() for x, y in zip(picture.hashes, same.measured.hashes, strict=True)
    )
    assert found <= 8  # of 512 bits
    known = list(render(source, media, wanted, settings, source=picture, on_source=seen.append))
    assert known[0].measured == same.measured
    assert len(seen) == 1


def test_measuring_again_finds_the_same(made, settings):
    media, _, paths = made
    first = [found.measured for found in verify(paths, media, settings)]
    assert [found.measured for found in verify(paths, media, settings)] == first
    assert all(found.loudness and found.hashes for found in first)


def test_silence_and_no_sound_have_no_loudness(settings, tmp_path):
    ffmpeg(*PICTURE, *SOUND, *H264, "-af", "volume=0", *AAC, tmp_path / "silence.mp4")
    ffmpeg(*PICTURE, *H264, tmp_path / "none.mp4")
    [silence] = decode([tmp_path / "silence.mp4"], settings, sounds=1, pixels=1e6)
    [none] = decode([tmp_path / "none.mp4"], settings, sounds=0, pixels=1e6)
    assert silence.measured.loudness is None
    assert none.measured.loudness is None
    assert isinstance(none.fingerprint, Fingerprint)


def noise(seed: int) -> array:
    """Return a second of stereo sound: a tone and noise that swell, in each file another way."""
    drawn = random.Random(seed)
    loud, tone, share = drawn.uniform(0.02, 0.6), drawn.uniform(80, 4000), drawn.random()
    found = array("h")
    for n in range(RATE):
        swell = loud * (0.3 + 0.7 * math.sin(math.pi * n / RATE))
        sound = math.sin(2 * math.pi * tone * n / RATE) * share
        value = round(32_000 * swell * (sound + (drawn.random() - 0.5) * (1 - share)))
        found.extend((value, round(0.7 * value)))
    return found


def test_loudness_is_that_of_pyloudnorm(settings, tmp_path):
    """pyloudnorm is another implementation of ITU-R BS.1770-4."""
    heard, expected = [tmp_path / f"{seed}.wav" for seed in range(20)], []
    for seed, path in enumerate(heard):
        samples = noise(seed)
        with wave.open(str(path), "wb") as file:
            file.setparams((2, 2, RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        data = numpy.frombuffer(samples, dtype="<i2").reshape(-1, 2) / 32_768
        expected.append(pyloudnorm.Meter(RATE).integrated_loudness(data))
    paths = [path.with_suffix(".mp4") for path in heard]
    ffmpeg("-f", "lavfi", "-i", "color=s=64x36:r=5:d=1", *H264, tmp_path / "picture.mp4")
    inputs = [word for path in (tmp_path / "picture.mp4", *heard) for word in ("-i", path)]
    maps = [("-map", "0:v", "-map", f"{n}:a", "-c:v", "copy", "-c:a", "flac", "-strict", "-2", path)
            for n, path in enumerate(paths, start=1)]  # fmt: skip
    ffmpeg(*inputs, *(word for words in maps for word in words))
    found = decode(paths, settings, sounds=1, pixels=1e6)
    integrated = [made.measured.loudness.integrated for made in found]
    assert integrated == pytest.approx(expected, abs=0.3)
    assert max(expected) - min(expected) > 10
