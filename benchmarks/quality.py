"""Measure VMAF of outputs without a recipe, per preset and CRF: the basis of the defaults.

    python benchmarks/quality.py [--real CLIP.mp4] [--seconds 4]

The synthetic clip (a Mandelbrot zoom under film grain and a moving test pattern, 1080p) is made
here. A real clip is given by path; its first 5 s are skipped, because films fade in. Outputs are
encoded with the production command and one encoder thread, so `cpu s` is the cost of one output
including decoding. VMAF: mean over all frames, libvmaf's default model, compared with the
decoded source. Each combination runs once, so use an otherwise idle machine.
"""

import argparse
import json
import resource
import subprocess
import tempfile
from pathlib import Path

from jobserver.render import Encoding, Settings, probe
from jobserver.render.command import render_command
from jobserver.render.settings import default_ffmpeg

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "medium")
RATES = (18, 20, 22, 24)
SYNTHETIC = (
    "mandelbrot=s=1920x1080:r=25:end_scale=0.05,format=yuv420p,noise=alls=2:allf=t[m];"
    "testsrc2=s=640x360:r=25,format=yuv420p[t];[m][t]overlay=x=40*t:y=30*t:shortest=1"
)


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--presets", nargs="*", default=PRESETS)
    parser.add_argument("--rates", nargs="*", type=int, default=RATES)
    args = parser.parse_args()
    print("| clip | preset | crf | cpu s | size MB | of source | VMAF | VMAF min |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips(Path(folder), args.real, args.seconds):
            for preset in args.presets:
                for rate in args.rates:
                    print(row(clip, preset, rate), flush=True)


def clips(folder: Path, real: Path | None, seconds: int) -> list[Path]:
    """Make the source clips, `seconds` long, in near-lossless quality (CRF 8)."""
    encode = ["-t", str(seconds), "-an", "-c:v", "libx264", "-preset", "superfast", "-crf", "8"]
    sources = [folder / "synthetic.mp4"]
    run("-filter_complex", SYNTHETIC, *encode, str(sources[0]))
    if real:
        sources.append(folder / "real.mp4")
        run("-ss", "5", "-i", str(real), *encode, str(sources[1]))
    return sources


def row(clip: Path, preset: str, rate: int) -> str:
    """Encode one clip with one preset and CRF; return its row of the table."""
    settings = Settings(encoding=Encoding(preset=preset, rate=("-crf", str(rate))))
    out = clip.with_name("out.mp4")
    before = cpu()
    subprocess.run(
        render_command(clip, probe(clip, settings), [(None, out)], settings),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    spent, size = cpu() - before, out.stat().st_size
    mean, lowest = vmaf(clip, out)
    return (
        f"| {clip.stem} | {preset} | {rate} | {spent:.1f} | {size / 1e6:.2f} |"
        f" {size / clip.stat().st_size:.2f} | {mean:.2f} | {lowest:.2f} |"
    )


def cpu() -> float:
    """Return CPU seconds, user and system, of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vmaf(source: Path, out: Path) -> tuple[float, float]:
    """Return mean and minimum VMAF of an encoded clip."""
    log = out.with_suffix(".json")
    graph = f"[0:v][1:v]libvmaf=n_threads=2:log_fmt=json:log_path={log}"
    run("-i", str(out), "-i", str(source), "-lavfi", graph, "-f", "null", "-")
    pooled = json.loads(log.read_text())["pooled_metrics"]["vmaf"]
    return pooled["mean"], pooled["min"]


def run(*arguments: str) -> None:
    """Run ffmpeg, printing errors only."""
    subprocess.run([default_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


if __name__ == "__main__":
    main()
