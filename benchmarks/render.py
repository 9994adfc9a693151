"""Five variations of a 20 s 720p clip against the floor and against the plain way.

`ours`: probe, render, verify, as a worker does it. `floor`: one ffmpeg that decodes once and
encodes five times, no filter. `plain`: five ffmpeg one after another, each with the filters
of recipe classic. Preset ultrafast throughout. The test pattern is quick to encode, so filters
weigh most in it: that makes the first target harder and the second easier than footage does;
the Mandelbrot zoom under film grain is the other way round. `plain / ours` by the clock
wanders when other work shares the machine, the CPU ratios hardly do.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import report, running
from jobserver.render import Encoding, Settings, parameters, probe, render
from jobserver.render.settings import default_ffmpeg
from tests.support import PROJECT, wait_for

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


def rendering() -> None:
    """Compare the three ways on the pattern and on grain."""
    for name, graph in (("pattern", PATTERN), ("grain", GRAIN)):
        with tempfile.TemporaryDirectory() as folder:
            compare(name, made(Path(folder) / "clip.mp4", graph), Path(folder))


def compare(name: str, clip: Path, folder: Path) -> None:
    """Measure all three ways once, one after the other."""
    least, mine, simple = (cost(way, clip, folder) for way in (floor, ours, plain))
    report(f"CPU to render {name}", "s", "at most 1.35", mine.cpu, least.cpu)
    report(
        f"wall of five plain ffmpeg on {name}", "s", "at least 3.5, ours", simple.wall, mine.wall
    )
    report(f"CPU of five plain ffmpeg on {name}", "s", "floor: ours", simple.cpu, mine.cpu)


def first_variation() -> None:
    """Time from the 202 to the first listed variation, and the CPU of the worker itself."""
    with tempfile.TemporaryDirectory() as folder, running() as server:
        clip = made(Path(folder) / "clip.mp4", PATTERN)
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
        worker = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**server.environment, "ENCODER_PRESET": "ultrafast"},
            stderr=subprocess.DEVNULL,
        )
        try:
            url = server.upload(clip.read_bytes()).json["statusUrl"]
            start = time.perf_counter()
            wait_for(lambda: server.get(url, server.token).json["files"][0]["outputs"], 300)
            listed = time.perf_counter() - start
            wait_for(lambda: server.get(url, server.token).json["progress"] == 100, 300)
            fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
            own, children = (sum(map(int, fields[at : at + 2])) for at in (11, 13))
        finally:
            worker.terminate()
            worker.wait(60)
        least = cost(floor, clip, Path(folder)).wall
    report("202 to the first listed variation of five", "s", "floor: all five", listed, least)
    share = own / (own + children)
    print(f"CPU of the worker itself: {share:.1%} of all (under 3 %)", flush=True)


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


ALL = (rendering, first_variation)
