"""Fixtures: small clips, made by ffmpeg on first use and kept for the session."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jobserver.render import Encoding, Output, Settings, parameters, probe, render
from jobserver.render.settings import default_ffmpeg

FAST = Encoding(preset="ultrafast")
PATTERN = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2")
TONE = ("-f", "lavfi", "-i", "sine=440:d=2")
# The picture turns white and a tone starts at 1 s, so both onsets show whether A/V sync is kept.
FLASH = (
    "-f",
    "lavfi",
    "-i",
    "color=black:s=160x120:r=25:d=2,drawbox=c=white:t=fill:enable=gte(t\\,1)",
)
BEEP = ("-f", "lavfi", "-i", "sine=440:d=2,volume=0:enable=lt(t\\,1)")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac")

CLIPS: dict[str, tuple[str, ...]] = {
    "plain": (*PATTERN, *TONE, *H264, *AAC, "-metadata", "title=secret"),
    "faststart": (*PATTERN, *TONE, *H264, *AAC, "-movflags", "+faststart"),
    "sync": (*FLASH, *BEEP, *H264, *AAC),
    "open-gop": (*PATTERN, *TONE, "-c:v", "libx264", "-pix_fmt", "yuv420p", *AAC, "-x264-params",
                 "keyint=10:min-keyint=10:bframes=3:b-adapt=0:open-gop=1"),
    "interlaced": ("-f", "lavfi", "-i", "color=black:s=160x120:r=50:d=1,drawbox=w=40:h=120:c=white:"
                   "t=fill,scroll=horizontal=0.05,interlace=lowpass=off", *H264,
                   "-flags", "+ildct+ilme"),
    "vfr": (*PATTERN, *TONE, "-vf", "select=not(mod(n\\,3)*lt(n\\,30))", "-fps_mode", "vfr",
            *H264, *AAC),
    "silent": (*PATTERN, *H264),
    "hevc10": (*PATTERN, *TONE, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
               "log-level=none", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", *AAC),
    "odd": (*PATTERN, *TONE, "-vf", "scale=161:121,format=yuv444p", "-c:v", "libx264", *AAC),
    "single": (*PATTERN, "-frames:v", "1", *H264),
    "uhd": ("-f", "lavfi", "-i", "testsrc2=s=3840x2160:r=25", "-frames:v", "4", *H264),
    "wide-pixels": (*PATTERN, "-vf", "setsar=4/3", *H264),
    "full-range": (*PATTERN, "-vf", "scale=out_range=pc,format=yuvj420p", "-c:v", "libx264"),
    "pcm": (*PATTERN, *TONE, *H264, "-c:a", "pcm_s16le", "-f", "mov"),
    "pcm-aac": (*PATTERN, *TONE, "-f", "lavfi", "-i", "sine=440:d=1", "-map", "0", "-map", "1",
                "-map", "2", *H264, "-c:a:0", "pcm_s16le", "-c:a:1", "aac", "-f", "mov"),
    "odd-sounds": (*PATTERN, *TONE, *TONE, "-map", "0", "-map", "1", "-map", "2", *H264,
                   "-c:a", "pcm_s16le", "-filter:a:0", "pan=7.1.4|c0=c0", "-filter:a:1",
                   "pan=FL|c0=c0", "-f", "mov"),
    "two-sounds": (*PATTERN, *TONE, *TONE, "-map", "0", "-map", "1", "-map", "2", *H264, *AAC),
    "fragmented": (*PATTERN, *TONE, *H264, *AAC, "-g", "10", "-movflags",
                   "+frag_keyframe+empty_moov+default_base_moof"),
    "long": ("-f", "lavfi", "-i", "color=black:s=32x32:r=1/60:d=36000", *H264),
    "huge": ("-f", "lavfi", "-i", "color=black:s=8192x8192:r=5:d=1", *H264),
    "square": ("-f", "lavfi", "-i", "testsrc2=s=120x120:r=25:d=0.2,setsar=16/9", *H264),
    "rgb": ("-f", "lavfi", "-i", "color=0x20c040:s=160x120:r=5:d=0.4", "-c:v", "png", "-f", "mov"),
    "flat": ("-f", "lavfi", "-i", "color=s=1600x2:r=5:d=0.2", *H264),
    "tall": ("-f", "lavfi", "-i", "color=s=2x16386:r=5:d=0.2", "-c:v", "png", "-f", "mov"),
    "sound-only": (*TONE, *AAC),
}  # fmt: skip

# A stream line of ffmpeg's banner, forged in the metadata of a file.
FORGED = "  Stream #1:0[0x1](und): Video: h264 (High), yuv420p, 64x64 [SAR 9:1 DAR 9:1], 25 fps"

# Remuxed from another clip: its name, the options before the input, the options after it.
DERIVED: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "portrait": ("plain", ("-display_rotation", "90"), ()),
    "turned": ("wide-pixels", ("-display_rotation", "-90"), ()),
    "square-turned": ("square", ("-display_rotation", "90"), ()),
    "trimmed": ("open-gop", ("-ss", "0.5"), ()),
    "delayed": ("plain", ("-itsoffset", "3"), ()),
    "encrypted": ("plain", (), ("-encryption_scheme", "cenc-aes-ctr",
                                "-encryption_key", "0f" * 16, "-encryption_kid", "0f" * 16)),
    "timecode": ("plain", (), ("-timecode", "01:00:00:00")),
    "container-shape": ("plain", (), ("-aspect", "1:1")),
    "forged": ("plain", (), ("-metadata", f"title=\u2028{FORGED}\x85{FORGED}\x1c{FORGED}")),
    "wordy": ("plain", (), ("-metadata", "comment=" + "x\n" * 10_000)),
}  # fmt: skip


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg without limits or sandbox; return its stdout."""
    command = [default_ffmpeg(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def described(path: Path) -> bytes:
    """Return the banner that ffmpeg prints about a file."""
    return subprocess.run([default_ffmpeg(), "-i", path], capture_output=True, check=False).stderr


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that makes a clip of CLIPS or DERIVED by name."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str) -> Path:
        path = folder / f"{name}.mp4"
        if name in DERIVED and not path.exists():
            original, before, after = DERIVED[name]
            ffmpeg(*before, "-i", make(original), *after, "-c", "copy", path)
        elif not path.exists():
            ffmpeg(*CLIPS[name], path)
        return path

    return make


@pytest.fixture
def settings() -> Settings:
    """Settings for small, quick renders."""
    return Settings(encoding=FAST)


@pytest.fixture
def rendered(tmp_path: Path, settings: Settings) -> Callable[..., list[Output]]:
    """Return a function that renders a file with seed 7 and returns the outputs."""

    def run(path: Path, count: int = 2, recipe: str = "subtle") -> list[Output]:
        wanted = [(parameters(7, n, recipe), tmp_path / f"{n}.part") for n in range(1, count + 1)]
        return list(render(path, probe(path, settings), wanted, settings))

    return run


def ssim(one: Path, other: Path) -> float:
    """Return the structural similarity (SSIM) of two videos of similar size; 1 = identical."""
    graph = (
        "[1:v]format=yuv420p[b];[0:v]format=yuv420p[a];[a][b]scale2ref[x][y];[x][y]ssim=shortest=1"
    )
    command = [
        default_ffmpeg(),
        "-nostdin",
        "-i",
        one,
        "-i",
        other,
        "-lavfi",
        graph,
        "-f",
        "null",
        "-",
    ]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"SSIM.* All:([\d.]+)", log)
    assert found, log
    return float(found[1])


def onset(path: Path) -> tuple[float, float]:
    """Return the seconds at which the picture turns bright and at which the sound starts."""
    picture = ffmpeg("-i", path, "-vf", "scale=1:1,format=gray", "-r", "25", "-f", "rawvideo", "-")
    sound = ffmpeg("-i", path, "-ac", "1", "-ar", "8000", "-f", "s16le", "-")
    samples = memoryview(sound).cast("h")
    return (
        next(n for n, grey in enumerate(picture) if grey > 128) / 25,
        next(n for n, sample in enumerate(samples) if abs(sample) > 500) / 8000,
    )
