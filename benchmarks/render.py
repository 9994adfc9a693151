"""Five variations of a 20 s 720p clip against the floor and against the plain way.

    python benchmarks/render.py [CLIP.mp4 | --grain] [--rounds 1]

Preset ultrafast throughout. `ours`: probe, render, verify, as a worker does it. `floor`:
one ffmpeg that decodes once and encodes five times, no filter. `plain`: five ffmpeg one
after another, each with the filters of recipe classic. Without a clip a moving test pattern with
a tone is made, or with --grain a Mandelbrot zoom under film grain. The pattern is quick to
encode, so filters weigh most in it: that makes the first target harder and the second
easier than footage does. Everything in one run; `plain / ours` by the clock wanders when
other work shares the machine, the CPU ratios hardly do.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobserver.render import Encoding, Settings, parameters, probe, render
from jobserver.render.settings import default_ffmpeg

COUNT, SECONDS = 5, 20
ENCODING = Encoding(preset="ultrafast")
ENCODE = ("-c:v", "libx264", "-preset", "ultrafast", *ENCODING.rate, "-c:a", "copy")
PATTERN = "testsrc2=s=1280x720:r=30"
GRAIN = (
    "mandelbrot=s=1280x720:r=30:end_scale=0.05,format=yuv420p,noise=alls=2:allf=t[m];"
    "testsrc2=s=320x180:r=30,format=yuv420p[t];[m][t]overlay=x=40*t:y=20*t:shortest=1"
)


@dataclass(frozen=True)
class Cost:
    """Seconds: of the clock, of CPU by ffmpeg, of CPU by this process."""

    wall: float
    ffmpeg: float
    own: float

    @property
    def cpu(self) -> float:
        """All CPU seconds."""
        return self.ffmpeg + self.own


def main() -> None:
    """Print the three costs and the two ratios; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--grain", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = asked.clip or made(folder / "clip.mp4", GRAIN if asked.grain else PATTERN)
        met = [compare(clip, folder) for _ in range(asked.rounds)]
    sys.exit(0 if all(met) else 1)


def compare(clip: Path, folder: Path) -> bool:
    """Measure all three ways once; return whether both targets are met."""
    costs = {way.__name__: cost(way, clip, folder) for way in (floor, ours, plain)}
    for name, spent in costs.items():
        print(f"{name:6} wall {spent.wall:6.2f} s   cpu {spent.cpu:6.2f} s", flush=True)
    cpu = costs["ours"].cpu / costs["floor"].cpu
    speed = costs["plain"].wall / costs["ours"].wall
    own = costs["ours"].own / costs["ours"].cpu
    print(f"cpu of ours / floor: {cpu:.2f} (at most 1.35)")
    print(f"wall of plain / ours: {speed:.2f} (at least 3.5)")
    print(f"cpu of plain / ours: {costs['plain'].cpu / costs['ours'].cpu:.2f}")
    print(f"wall of ours / floor: {costs['ours'].wall / costs['floor'].wall:.2f}")
    print(f"cpu of this process: {own:.1%} (at most 3 %), {os.cpu_count()} cores")
    return cpu <= 1.35 and speed >= 3.5 and own <= 0.03


def cost(way: Callable[[Path, Path], None], clip: Path, folder: Path) -> Cost:
    """Measure one way of doing it."""
    started, ffmpeg, own = time.perf_counter(), used(children=True), used(children=False)
    way(clip, folder)
    return Cost(
        time.perf_counter() - started,
        used(children=True) - ffmpeg,
        used(children=False) - own,
    )


def used(children: bool) -> float:
    """Return CPU seconds, user and system."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def floor(clip: Path, folder: Path) -> None:
    """Decode once, encode five times, no filter."""
    outs = [folder / f"floor{n}.mp4" for n in range(COUNT)]
    run("-i", str(clip), *(word for out in outs for word in ("-map", "0", *ENCODE, str(out))))


def ours(clip: Path, folder: Path) -> None:
    """Do what a worker does."""
    settings = Settings(encoding=ENCODING)
    wanted = [(parameters(1, n), folder / f"ours{n}.part") for n in range(1, COUNT + 1)]
    list(render(clip, probe(clip, settings), wanted, settings))


def plain(clip: Path, folder: Path) -> None:
    """Start one ffmpeg a variation, with rotate, one after another."""
    for n in range(1, COUNT + 1):
        values = dict(parameters(1, n, "classic").values)
        rotation = values.pop("rotation")
        eq = ":".join(f"{name}={value}" for name, value in values.items())
        filters = f"rotate={rotation},eq={eq}"
        run("-i", str(clip), "-vf", filters, *ENCODE, str(folder / f"plain{n}.mp4"))


def made(path: Path, graph: str) -> Path:
    """Make the clip from a filter graph."""
    sound = ("-f", "lavfi", "-i", f"sine=440:d={SECONDS}", "-map", "[v]", "-map", "0:a")
    picture = ("-filter_complex", graph + "[v]", "-t", str(SECONDS))
    encode = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-c:a", "aac")
    run(*sound, *picture, *encode, str(path))
    return path


def run(*arguments: str) -> None:
    """Run ffmpeg quietly."""
    subprocess.run([default_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


if __name__ == "__main__":
    main()
