"""What the caller may decide about rendering, with units and defaults."""

import os
import shutil
from dataclasses import dataclass, field
from functools import cache

import imageio_ffmpeg

MIB = 1024**2


@cache
def default_ffmpeg() -> str:
    """Return the absolute path of the ffmpeg that pip installed."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def find_ffmpeg(name: str) -> str:
    """Return the absolute path of another ffmpeg; raises FileNotFoundError."""
    if not (path := shutil.which(name)):
        raise FileNotFoundError(f"no ffmpeg at {name}")
    return os.path.abspath(path)


@dataclass(frozen=True)
class Encoding:
    """How outputs are encoded.

    encoder: an ffmpeg video encoder of H.264. preset: its `-preset`, empty when it has
    none. rate: its rate settings. threads: of each encoder; fixed, because x264 writes
    other bytes with another number. audio_rate: of AAC, when audio cannot be copied.
    """

    encoder: str = "libx264"
    preset: str = "superfast"
    rate: tuple[str, ...] = ("-crf", "21")
    threads: int = 1
    audio_rate: str = "192k"


@dataclass(frozen=True)
class Settings:
    """Limits of one render; see Encoding for the rest.

    ffmpeg: absolute path. max_pixels: of one frame. max_duration: seconds. memory: bytes
    one ffmpeg may use, which bounds the variations it writes at once, as does `group`.
    stall_s: seconds without progress until it is stopped. pixels_per_s: slowest encoding
    that is waited for, all outputs together. sandbox: see launch.py; hardware encoders
    need it off.
    """

    ffmpeg: str = field(default_factory=default_ffmpeg)
    encoding: Encoding = field(default_factory=Encoding)
    max_pixels: int = 4096 * 2304
    max_duration: float = 3600.0
    memory: int = 2048 * MIB
    group: int = 5
    stall_s: float = 60.0
    pixels_per_s: float = 10e6
    sandbox: bool = True
