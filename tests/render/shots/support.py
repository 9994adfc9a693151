"""Appearances to begin with, frames as pixels, the packets of a file."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from jobserver.brief.timeline import Appearance

from ..conftest import ffmpeg


def appearance(**changes: Any) -> Appearance:
    """Return a small 9:16 appearance at 25 frames a second, with these changes."""
    values: dict[str, Any] = {
        "width": 90,
        "height": 160,
        "format": "9:16",
        "fit": "blur",
        "pad_color": "#000000",
        "focus": (0.5, 0.5),
        "fps": Fraction(25),
    }
    return Appearance(**(values | changes))


@dataclass(frozen=True)
class Frame:
    """One decoded frame. pixels: rows of RGB, converted from BT.709."""

    width: int
    height: int
    pixels: bytes

    def at(self, x: float, y: float) -> tuple[int, int, int]:
        """Return the colour at a place, given as shares of width and height."""
        place = 3 * (int(y * self.height) * self.width + int(x * self.width))
        red, green, blue = self.pixels[place : place + 3]
        return red, green, blue


def frames(path: Path, width: int, height: int) -> list[Frame]:
    """Decode all frames of a shot."""
    to_rgb = ("-vf", "scale=in_color_matrix=bt709,format=rgb24", "-fps_mode", "passthrough")
    raw, size = ffmpeg("-i", path, *to_rgb, "-f", "rawvideo", "-"), width * height * 3
    assert len(raw) % size == 0
    return [Frame(width, height, raw[n : n + size]) for n in range(0, len(raw), size)]


def packets(path: Path) -> list[tuple[float, float, bool]]:
    """Return decoding and presentation time in seconds of each packet, and if it is a keyframe."""
    lines = ffmpeg("-i", path, "-map", "0:v", "-c", "copy", "-copyts", "-f", "framecrc", "-")
    rows = lines.decode().splitlines()
    over, under = next(r for r in rows if r.startswith("#tb 0")).split(": ")[1].split("/")
    tick = int(over) / int(under)
    found = []
    for row in rows:
        if not row.startswith("#"):
            fields = row.split(",")
            found.append((int(fields[1]) * tick, int(fields[2]) * tick, "F=0x0" not in row))
    return found
