"""What the encoder is asked for, and what decoders of a joined file see of it."""

import dataclasses
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from jobserver.brief.model import Headline
from jobserver.render import Settings, Still, probe
from jobserver.render.settings import Encoding, default_ffmpeg
from jobserver.render.shots.command import ShotPlan, shots_command, timescale

from ..conftest import ffmpeg
from .support import appearance, packets

ANY = Path("/any")
STILL = Still(width=90, height=160)


def options(media, wanted, settings=None):
    """Return the words of a command by the word before each; of equal ones, the last."""
    return dict(
        pairwise(shots_command(ANY, media, [ShotPlan(wanted, ANY)], settings or Settings()))
    )


def header(path):
    """Return what a decoder must know before it begins: the avcC box with SPS and PPS."""
    content = path.read_bytes()
    start = content.index(b"avcC")
    return content[start : start - 4 + int.from_bytes(content[start - 4 : start], "big")]


@pytest.fixture
def sources(tmp_path):
    """Return clips that have little in common: size, rate, codec, noise."""
    made = {
        "plain.mp4": ("testsrc2=s=320x180:r=30:d=0.7", ()),
        "noisy.mp4": ("nullsrc=s=96x128:r=24000/1001:d=0.6,geq=random(1)*255:128:128", ()),
        "still.mp4": ("color=gray:s=64x64:r=50:d=0.5", ("-c:v", "libx265", "-x265-params",
                                                       "log-level=none")),
    }  # fmt: skip
    for name, (graph, encoding) in made.items():
        ffmpeg("-f", "lavfi", "-i", graph, *encoding, tmp_path / name)
    return [tmp_path / name for name in made]


@pytest.mark.parametrize(
    ("preset", "fps"), [("superfast", Fraction(30000, 1001)), ("ultrafast", Fraction(25))]
)
def test_shots_of_one_size_and_rate_are_joined_as_they_are(shots, sources, tmp_path, preset, fps):
    """Also of one, two and three frames. No frame is lost or doubled, and none has a gap."""
    settings = Settings(encoding=Encoding(preset=preset))
    made, count = [], 0
    lengths = [None, 1 / fps, 2 / fps, 3 / fps, None]
    for n, (source, length) in enumerate(zip([*sources, *sources[:2]], lengths, strict=True)):
        wanted = appearance(fps=fps, seconds=length and float(length))
        [file] = shots(source, wanted, settings=settings)
        made.append(file.path.rename(tmp_path / f"{n}.shot"))
        count += file.frames
    assert len({header(path) for path in made}) == 1
    assert len({packets(path)[0][:2] for path in made}) == 1  # of its first decoding
    report = join(made, tmp_path / "joined.mp4")
    assert report == ""
    times = sorted(shown for _, shown, _ in packets(tmp_path / "joined.mp4"))
    assert len(times) == count
    assert [b - a for a, b in pairwise(times)] == pytest.approx([float(1 / fps)] * (count - 1))
    decoded = ffmpeg(
        "-i", tmp_path / "joined.mp4", "-f", "framecrc", "-fps_mode", "passthrough", "-"
    )
    assert sum(line[0] != "#" for line in decoded.decode().splitlines()) == count


def join(paths, out):
    """Join by the concat demuxer without another encode; return what ffmpeg warns of."""
    script = out.with_suffix(".txt")
    script.write_text("ffconcat version 1.0\n" + "".join(f"file {path.name}\n" for path in paths))
    command = [default_ffmpeg(), "-v", "warning", "-nostdin", "-y", "-f", "concat", "-i", script]
    done = subprocess.run([*command, "-c", "copy", out], check=True, capture_output=True, text=True)
    return done.stderr


def test_outputs_may_end_at_forced_keyframes(shots):
    """A frame that begins at the time, or is the first behind it."""
    ends = (0.28, 0.5, 1.0, 1.6)
    fixed, own = shots("silent", appearance(keyframes=ends), appearance(fps=None, keyframes=ends),
                       settings=Settings())  # fmt: skip
    for file in (fixed, own):
        keys = [round(shown * 25) for _, shown, key in packets(file.path) if key]
        assert set(keys) >= {0, 7, 25, 40}
        assert keys[2] in (12, 13)


def test_what_lies_before_a_forced_keyframe_is_decoded_without_it(shots, tmp_path):
    """The shot is cut there, without another encode."""
    [file] = shots("silent", appearance(keyframes=(1.0,)), settings=Settings())
    cut = tmp_path / "cut.mp4"
    ffmpeg("-i", file.path, "-c", "copy", "-frames:v", "25", cut)
    whole, first = (
        ffmpeg("-i", path, "-f", "framemd5", "-").decode().splitlines() for path in (file.path, cut)
    )
    pictures = [line.split(",")[-1] for line in first if line[0] != "#"]
    assert pictures == [line.split(",")[-1] for line in whole if line[0] != "#"][:25]
    assert len(pictures) == 25


def test_keyframes_are_two_seconds_apart_at_most(clip):
    media = probe(clip("silent"), Settings())
    assert options(media, appearance())["-g"] == "50"
    assert options(media, appearance(fps=None, speed=2.0))["-g"] == "100"
    assert options(STILL, appearance(fps=Fraction(30000, 1001), seconds=1.0))["-g"] == "60"


@pytest.mark.parametrize(
    ("fps", "ticks"),
    [(25, 10_000), (30, 10_020), (Fraction(30000, 1001), 30_000), (Fraction(2997, 100), 11_988)],
)
def test_frames_are_whole_ticks(fps, ticks):
    scale = timescale(STILL, appearance(fps=Fraction(fps), seconds=1.0))
    assert scale == ticks
    assert (scale / Fraction(fps)).denominator == 1


@pytest.mark.parametrize(
    ("size", "fps", "level"),
    [
        ((90, 160), 25, "3.1"),
        ((720, 1280), 30, "3.1"),
        ((1080, 1920), 30, "4.0"),
        ((1080, 1920), 60, "4.2"),
        ((2160, 3840), 30, "5.1"),
        ((2160, 3840), 60, "5.2"),
        ((2160, 3840), 120, "6.0"),
        ((4096, 4096), 120, "6.2"),
    ],
)
def test_the_level_follows_from_size_and_rate(size, fps, level):
    wanted = appearance(width=size[0], height=size[1], fps=Fraction(fps), seconds=1.0)
    assert options(STILL, wanted)["-level:v"] == level


def test_a_shot_has_bits_as_its_source_has(clip):
    """Fewer at half the speed; more where it is enlarged, or something is drawn over it."""
    media = probe(clip("silent"), Settings())
    plain = {"width": 160, "height": 120, "format": "source", "fit": "pad"}

    def rate(**changes):
        return int(options(media, appearance(**plain | changes))["-maxrate"])

    least = rate()
    source = 8 * media.packets.bytes / media.packets.duration
    assert 0.8 * source < least < 1.5 * source
    assert 0.4 * least < rate(speed=0.5) < 0.7 * least
    assert rate(width=320, height=240) == pytest.approx(4 * least, rel=0.1)
    assert rate(width=80, height=60) == least
    assert rate(headline=Headline("Hi")) > least
    assert rate(width=200) > least
    assert "-maxrate" not in options(STILL, appearance(seconds=1.0))


def test_an_encoder_of_the_operator_is_asked_for_nothing_that_it_may_not_know():
    nvenc = Encoding(encoder="h264_nvenc", preset="p4", rate=("-cq", "23"))
    words = options(STILL, appearance(seconds=1.0), Settings(encoding=nvenc))
    assert (words["-c:v"], words["-preset"], words["-cq"]) == ("h264_nvenc", "p4", "23")
    assert not {"-x264-params", "-level:v", "-bsf:v"} & set(words)


def test_own_rate_options_of_x264_stay_and_headers_still_agree():
    for rate in (("-b:v", "2M"), ("-crf", "20", "-x264-params", "aq-mode=3")):
        encoding = dataclasses.replace(Encoding(), rate=rate)
        words = options(STILL, appearance(seconds=1.0), Settings(encoding=encoding))
        assert words[rate[0]] == rate[1]
        assert words["-x264-params"].endswith(":stitchable=1")
        assert "-maxrate" not in words
