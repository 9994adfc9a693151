"""Settings of rendering, with units and defaults."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import imageio_ffmpeg

MIB = 1024**2


@cache
def default_ffmpeg() -> str:
    """Return the absolute path of the ffmpeg that pip installed (imageio-ffmpeg)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


# Rate control by the times of the frames, not by a frame rate: a source may have none.
_X264 = "force-cfr=0"
# superfast with the cheapest parts of slower presets: no more CPU at this quality, and fewer bytes.
_X264_SUPERFAST = f"{_X264}:mbtree=1:rc-lookahead=10:trellis=1:aq-strength=0.5"


@dataclass(frozen=True)
class Encoding:
    """How outputs are encoded.

    encoder: name of an H.264 encoder of ffmpeg. preset: its `-preset`, empty when it has none.
    rate: its rate control options, taken as they are; empty: those below, and with libx264 the
    rate is limited by the source's (see rate.py). threads: per encoder; fixed, because the output
    bytes of x264 depend on it. audio_rate: bits per second of AAC, for audio that cannot be
    copied.
    """

    encoder: str = "libx264"
    preset: str = "superfast"
    rate: tuple[str, ...] = ()
    threads: int = 1
    audio_rate: int = 192_000

    @property
    def quality(self) -> tuple[str, ...]:
        """The rate control options that do not depend on the source."""
        if self.rate:
            return self.rate
        if self.encoder != "libx264":
            return ("-crf", "21")
        superfast = self.preset == "superfast"
        return ("-crf", "18.5", "-x264-params", _X264_SUPERFAST if superfast else _X264)


@dataclass(frozen=True)
class Settings:
    """Limits of one render, and how outputs are encoded.

    ffmpeg: absolute path. max_pixels: per frame. max_duration: seconds. memory: bytes that one
    ffmpeg process may use. group: how many variations one process writes at most; fewer when
    memory is short. stall_s: seconds without progress after which ffmpeg is stopped.
    pixels_per_s: slowest accepted encoding speed, all outputs together; the timeout is derived
    from it. accept: the containers that a source may have, by their names in containers.py.
    sandbox: see launch.py; hardware encoders need False. fonts: a folder of fonts for headlines,
    beside the bundled one.
    """

    ffmpeg: str = field(default_factory=default_ffmpeg)
    encoding: Encoding = field(default_factory=Encoding)
    max_pixels: int = 4096 * 2304
    max_duration: float = 3600.0
    memory: int = 2048 * MIB
    group: int = 5
    stall_s: float = 60.0
    pixels_per_s: float = 10e6
    accept: tuple[str, ...] = ("mp4",)
    sandbox: bool = True
    fonts: Path | None = None
