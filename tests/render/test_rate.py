"""Outputs cost about as many bytes as their source, and look like it."""

import dataclasses

import pytest

from jobserver.render import Encoding, Settings, parameters, probe, render
from jobserver.render.media import Audio, Packets
from jobserver.render.rate import FACTOR, FACTOR_OF_BETTER_CODECS, limit_options

from .conftest import AAC, TONE, ffmpeg, ssim

GRAIN = (
    "-f",
    "lavfi",
    "-i",
    "mandelbrot=s=320x240:r=25:end_scale=0.05,noise=alls=12:allf=t",
    "-t",
)
CODECS = {
    "libx264": ("-crf", "33", "-pix_fmt", "yuv420p"),
    "libx265": ("-crf", "33", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"),
    "libvpx-vp9": ("-crf", "45", "-b:v", "0", "-cpu-used", "6", "-pix_fmt", "yuv420p"),
    "libsvtav1": ("-crf", "45", "-preset", "10", "-pix_fmt", "yuv420p"),
    "mpeg4": ("-q:v", "12"),
}


@pytest.fixture
def source(tmp_path):
    """Return a function that makes a source from ffmpeg's options."""

    def make(*options):
        path = tmp_path / "source.mp4"
        ffmpeg(*options, path)
        return path

    return make


@pytest.fixture
def output(tmp_path):
    """Return a function that renders one variation, or the picture as it is, by default."""

    def run(path, encoding=Encoding(), recipe=True):  # noqa: B008
        settings = Settings(encoding=encoding)
        wanted = [(parameters(1, 1) if recipe else None, tmp_path / "out.part")]
        [rendered] = render(path, probe(path, settings), wanted, settings)
        return rendered

    return run


@pytest.mark.parametrize("seconds", ["0.04", "0.4", "1.5", "6"])
@pytest.mark.parametrize("codec", CODECS)
def test_an_output_takes_few_times_the_bytes_of_its_source(source, output, codec, seconds):
    path = source(*GRAIN, seconds, "-c:v", codec, *CODECS[codec])
    better = codec in ("libx265", "libvpx-vp9", "libsvtav1")
    factor = FACTOR_OF_BETTER_CODECS if better else FACTOR
    container = 1500 if seconds == "0.04" else 0  # more than half of a source of one frame
    assert output(path).media.size <= factor * path.stat().st_size + container


def test_without_the_limit_it_would_take_more(source, output):
    path = source(*GRAIN, "6", "-c:v", "libx264", *CODECS["libx264"])
    assert output(path, Encoding(rate=("-crf", "21"))).media.size > 2 * path.stat().st_size


def test_sound_counts_as_part_of_the_source(source, output):
    """Sound is copied, so the picture may take what 1.5 times the sound would have."""
    encode = ("-c:v", "libx264", *CODECS["libx264"], *AAC, "-b:a", "256k")
    path = source(*GRAIN[:-1], *TONE, "-t", "4", *encode)
    assert 1.2 * path.stat().st_size < output(path).media.size <= FACTOR * path.stat().st_size


def test_pictures_that_stand_for_seconds_stay_sharp(source, output):
    """As of a recorded screen: few bits a second, all of them in a few frames."""
    path = source("-f", "lavfi", "-i", "mandelbrot=s=320x240:r=1/5", "-t", "60", "-c:v", "libx264",
                  "-g", "1", "-pix_fmt", "yuv420p")  # fmt: skip
    rendered = output(path, recipe=False)
    assert rendered.media.size <= FACTOR * path.stat().st_size
    assert ssim(rendered.path, path) > 0.97


def test_a_still_part_leaves_its_bits_to_a_lively_one(source, output):
    still = "color=gray:s=320x240:r=25:d=8[a];mandelbrot=s=320x240:r=25,trim=duration=2[b];"
    path = source("-filter_complex", still + "[a][b]concat,format=yuv420p", "-c:v", "libx264")
    rendered = output(path, recipe=False)
    assert rendered.media.size <= FACTOR * path.stat().st_size
    assert ssim(rendered.path, path) > 0.97


def test_rate_options_of_the_operator_are_taken_as_they_are(clip, settings):
    media = probe(clip("plain"), settings)
    for encoding in (Encoding(rate=("-crf", "30")), Encoding(encoder="libopenh264")):
        assert limit_options(media, encoding) == ()
    assert "-maxrate" in limit_options(media, Encoding())


def test_a_buffer_holds_the_largest_frame_of_the_source(clip, settings):
    media = probe(clip("plain"), settings)
    large = dataclasses.replace(media.packets, largest=media.packets.bytes // 4)
    options = limit_options(dataclasses.replace(media, packets=large), Encoding())
    assert int(options[3]) > 8 * large.largest * FACTOR


@pytest.mark.parametrize(("size", "end"), [(1, 2.0), (10**12, 2.0), (5000, 0.0)])
def test_any_source_gives_numbers_that_ffmpeg_takes(clip, settings, size, end):
    media = probe(clip("plain"), settings)
    packets = dataclasses.replace(media.packets, bytes=size, largest=size, end=end)
    options = limit_options(dataclasses.replace(media, packets=packets), Encoding())
    assert all(1000 <= int(number) < 2**31 for number in options[1::2])


def test_sound_that_is_encoded_again_leaves_the_picture_what_it_had(clip, settings):
    """A minute of 8-bit speech beside a few frames: AAC alone is more than the source."""
    media = probe(clip("plain"), settings)
    sound = Packets(total=60.0, bytes=480_000)
    pcm = dataclasses.replace(media, audio=(Audio(1, 2, "pcm_u8"),), sounds=(sound,))
    rate = int(limit_options(pcm, Encoding())[1])
    assert rate > 0.5 * 8 * media.packets.bytes / media.packets.duration
