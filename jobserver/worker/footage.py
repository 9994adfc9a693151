"""Calls of render that make shots: of a clip or a still its pictures, of a clip or music sounds."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jobserver import metrics, render
from jobserver.brief.timeline import Shot
from jobserver.worker.engine import fonts_of
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.measures import encoded
from jobserver.worker.plans import Advance, JobPlan
from jobserver.worker.workbench import Workbench

log = logging.getLogger(__name__)
PICTURE, SOUND = ".mp4", ".flac"


class Made(NamedTuple):
    """A whole shot in the claim's scratch folder. facts: what joins need to know of it.

    Of all: `took`, the seconds that it cost. Of a picture: `hashes`.
    """

    shot: Shot
    path: Path
    facts: Mapping[str, Any]


def render_group(
    bench: Workbench,
    held: HeldClaim,
    plan: JobPlan,
    group: Sequence[Shot],
    *,
    out: Path,
    advance: Advance,
    picture: render.Fingerprint | None,
    on_picture: Callable[[render.Fingerprint], None],
) -> list[Made]:
    """Make shots of the claimed file in a folder, pictures before sounds.

    picture: what is known of the source's; else on_picture is called with it.
    Raises render.Cancelled, MediaError or EngineError, or OSError.
    """
    made: list[Made] = []
    for render_some, some in (
        (_pictures, [shot for shot in group if shot.picture is not None]),
        (_sounds, [shot for shot in group if shot.picture is None]),
    ):
        if some:
            start, cost = time.monotonic(), plan.shots_cost(some)
            call = _Call(
                bench=bench,
                held=held,
                plan=plan,
                shots=some,
                out=out,
                advance=advance,
                cost=cost,
                picture=picture,
                on_picture=on_picture,
            )
            found = list(render_some(call))
            took = time.monotonic() - start
            _count(held, found, took)
            pace = took / cost
            advance.add(cost)
            for shot, (path, facts) in zip(some, found, strict=True):
                made.append(Made(shot, path, {**facts, "took": pace * plan.shots_cost([shot])}))
    return made


def _count(held: HeldClaim, found: Sequence["_Found"], took: float) -> None:
    claim, frames = held.claim, sum(facts.get("frames", 0) for _, facts in found)
    log.info(
        "%s: rendered %d shots, %d frames in %.1f s",
        *(claim.label, len(found), frames, took),
        extra={**claim.fields, "frames": frames, "seconds": round(took, 3)},
    )
    metrics.rendered(frames, took)


class _Call(NamedTuple):
    bench: Workbench
    held: HeldClaim
    plan: JobPlan
    shots: Sequence[Shot]
    out: Path
    advance: Advance
    cost: float
    picture: render.Fingerprint | None
    on_picture: Callable[[render.Fingerprint], None]

    def show(self, share: float) -> None:
        self.advance.show(share, self.cost)


_Found = tuple[Path, Mapping[str, Any]]


def _pictures(call: _Call) -> Iterator[_Found]:
    bench, plan, first = call.bench, call.plan, call.shots[0]
    wanted = [
        (shot.picture, call.out / f"{shot.key}{PICTURE}") for shot in call.shots if shot.picture
    ]
    with (
        bench.source(call.held.claim.stored_name, call.held.cancel) as source,
        _logos(call) as logos,
    ):
        try:
            for file in render.render_shots(
                source,
                plan.probes[first.role, first.source].footage,
                wanted,
                bench.settings,
                overlays=logos,
                fonts=fonts_of(bench.settings),
                on_progress=call.show,
                cancel=call.held.cancel,
                picture=call.picture,
                on_picture=call.on_picture,
            ):
                facts = {"frames": file.frames, "seconds": file.seconds}
                yield file.path, facts | {"hashes": encoded(file.hashes)}
        except render.MissingGlyph as error:  # a server that took the text has other fonts
            raise render.EngineError(str(error)) from error


@contextmanager
def _logos(call: _Call) -> Iterator[dict[str, Path]]:
    """Give the paths of the overlays that shots need, by name."""
    names = {shot.picture.logo.overlay for shot in call.shots if shot.picture and shot.picture.logo}
    with ExitStack() as stack:
        yield {
            file.name: stack.enter_context(call.bench.source(file.stored_name, call.held.cancel))
            for (role, _), file in call.plan.files.items()
            if role == "overlay" and file.name in names
        }


def _sounds(call: _Call) -> Iterator[_Found]:
    first, settings = call.shots[0], call.bench.settings
    probe = call.plan.probes[first.role, first.source]
    wanted = [(shot.sound, call.out / f"{shot.key}{SOUND}") for shot in call.shots if shot.sound]
    with call.bench.source(call.held.claim.stored_name, call.held.cancel) as source:
        if probe.music is not None:
            ((shape, path),) = wanted  # all outputs with it take the same
            sounds = [
                render.render_music(
                    *(source, probe.music, path, settings),
                    seconds=shape.seconds or probe.music.duration,
                    on_progress=call.show,
                    cancel=call.held.cancel,
                )
            ]
        else:
            assert probe.media is not None  # noqa: S101  a still has no sound
            sounds = render.render_sounds(
                *(source, probe.media, wanted, settings),
                on_progress=call.show,
                cancel=call.held.cancel,
            )
    for sound in sounds:
        yield sound.path, sound.facts()
