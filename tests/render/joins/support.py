"""Sources that flash and beep at the same moment, and what is seen and heard of an output."""

import subprocess
from fractions import Fraction
from pathlib import Path

from jobserver.render.settings import default_ffmpeg

from ..conftest import AAC, H264, ffmpeg
from ..sound.signals import onsets, pcm

GREY, FLASH = 128, 200  # luma of a frame; above FLASH it is one


def flashing(path: Path, fps: str, *, size: str = "160x120", sound: bool = True,
             vfr: bool = False) -> Path:  # fmt: skip
    """Make a grey clip of 1.2 s with a white frame or more, and a beep, from about 0.5 s on."""
    rate = Fraction(fps)
    at = float(round(Fraction(1, 2) * rate) / rate)
    shown = f"between(t\\,{at - 0.001:.6f}\\,{at + 0.099:.6f})"
    picture = f"color=0x808080:s={size}:r={fps}:d=1.2,drawbox=c=white:t=fill:enable={shown}"
    thinned = ("-vf", "select=not(eq(mod(n\\,5)\\,1))", "-fps_mode", "vfr") if vfr else ()
    beep = f"aevalsrc=0.3*sin(2*PI*1000*t)*between(t\\,{at:.6f}\\,{at + 0.1:.6f}):s=48000:d=1.2"
    heard = ("-f", "lavfi", "-i", beep, *AAC) if sound else ()
    ffmpeg("-f", "lavfi", "-i", picture, *heard, *H264, *thinned, path)
    return path


def counting(path: Path, fps: str = "25", frames: int = 30, first: int = 0) -> Path:
    """Make a clip whose frames are as bright as their number says (see `numbers`)."""
    luma = f"lum=60+16*mod(N+{first}\\,10)"
    ffmpeg("-f", "lavfi", "-i", f"color=s=64x64:r={fps},format=yuv420p,geq={luma}:cb=128:cr=128",
           "-frames:v", str(frames), *H264, path)  # fmt: skip
    return path


def lumas(path: Path) -> list[int]:
    """Return the luma in the middle of each frame, decoded as they are stored."""
    tiny = "crop=iw/4:ih/4,scale=2:2:flags=area,format=yuv420p"  # four bytes of luma, two of colour
    raw = ffmpeg("-i", path, "-vf", tiny, "-fps_mode", "passthrough", "-f", "rawvideo", "-")
    return list(raw[::6])


def numbers(path: Path) -> list[int]:
    """Return the numbers, 0..9, that the frames of `counting` clips have."""
    return [round((luma - 60) / 16) for luma in lumas(path)]


def times(path: Path) -> list[float]:
    """Return when each frame is shown, in seconds, sorted; at the end when the last one ends."""
    lines = ffmpeg("-i", path, "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode()
    [(over, under)] = [
        line.split(": ")[1].split("/") for line in lines.splitlines() if line.startswith("#tb 0")
    ]
    rows = [line.split(",") for line in lines.splitlines() if not line.startswith("#")]
    shown = sorted((int(row[2]), int(row[3])) for row in rows)
    tick = int(over) / int(under)
    return [at * tick for at, _ in shown] + [sum(shown[-1]) * tick]


def flashes(path: Path) -> list[float]:
    """Return the seconds at which the picture turns white."""
    found, before = [], 0
    for at, luma in zip(times(path), lumas(path), strict=False):
        if luma > FLASH >= before:
            found.append(at)
        before = luma
    return found


def beeps(path: Path) -> list[float]:
    """Return the seconds at which a beep begins."""
    return onsets(pcm(path), threshold=0.03)


def complaints(path: Path) -> str:
    """Return what ffmpeg says when it decodes all of a file; an error ends it."""
    command = [default_ffmpeg(), "-nostdin", "-v", "warning", "-xerror", "-i", path, "-f", "null"]
    done = subprocess.run([*command, "-"], capture_output=True, check=False, text=True)
    return f"{done.stderr}{done.returncode or ''}"
