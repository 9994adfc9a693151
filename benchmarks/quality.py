"""VMAF of a re-encode without recipe, for presets and rates: the table behind the defaults.

    python benchmarks/quality.py [--real CLIP.mp4] [--seconds 4]

The synthetic clip (a Mandelbrot zoom under film grain and a moving test pattern, 1080p) is
made here. A real one is given by path; its first 5 s are skipped, films fade in. Encoded by
the very command that renders, with one thread an encoder as in production, so `cpu` is
what one output costs, decoding included. VMAF: mean over all frames, libvmaf's default
model, against the decoded source. One run; a quiet machine is up to you.
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
    asked = parser.parse_args()
    print("| clip | preset | crf | cpu s | size MB | of source | VMAF | VMAF min |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips(Path(folder), asked.real, asked.seconds):
            for preset in asked.presets:
                for rate in asked.rates:
                    print(row(clip, preset, rate), flush=True)


def clips(folder: Path, real: Path | None, seconds: int) -> list[Path]:
    """Make the sources: `seconds` long, so well encoded that they count as originals."""
    kept = ["-t", str(seconds), "-an", "-c:v", "libx264", "-preset", "superfast", "-crf", "8"]
    made = [folder / "synthetic.mp4"]
    run("-filter_complex", SYNTHETIC, *kept, str(made[0]))
    if real:
        made.append(folder / "real.mp4")
        run("-ss", "5", "-i", str(real), *kept, str(made[1]))
    return made


def row(clip: Path, preset: str, rate: int) -> str:
    """Encode one clip one way and measure it; return a table row."""
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
    """Return CPU seconds of all ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vmaf(source: Path, out: Path) -> tuple[float, float]:
    """Return mean and lowest VMAF of an encode."""
    log = out.with_suffix(".json")
    graph = f"[0:v][1:v]libvmaf=n_threads=2:log_fmt=json:log_path={log}"
    run("-i", str(out), "-i", str(source), "-lavfi", graph, "-f", "null", "-")
    pooled = json.loads(log.read_text())["pooled_metrics"]["vmaf"]
    return pooled["mean"], pooled["min"]


def run(*arguments: str) -> None:
    """Run ffmpeg quietly."""
    subprocess.run([default_ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


if __name__ == "__main__":
    main()
