"""The outputs of a brief as timelines: computed once for all claims that see the same parts.

Of 500 outputs that takes 0.2 s, and a job has a claim for every few of them.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from jobserver import render
from jobserver.brief.assemble import timelines
from jobserver.brief.model import Brief, Part, Role, Sources
from jobserver.brief.plan import plan
from jobserver.brief.stored import load
from jobserver.brief.timeline import Source, Timeline, Unmakeable
from jobserver.worker import facts
from jobserver.worker.facts import Probe

JOBS_KEPT = 4  # of a process; each may be some megabytes


class PlannedPart(NamedTuple):
    """What decides outputs of one file. facts: JSON, None before it was probed."""

    role: Role
    name: str
    seed: int
    facts: str | None


class Planned(NamedTuple):
    """sources: role and place of each part. probes: of those that are known.

    outputs: all of the job, by video and number. music_seconds: of the longest output with a
    music, by its place; whatever fails of them later.
    """

    brief: Brief
    sources: Sequence[Source]
    probes: Mapping[Source, Probe]
    outputs: Sequence[Timeline | Unmakeable]
    music_seconds: Mapping[int, float]


@lru_cache(maxsize=JOBS_KEPT)
def planned(text: str, title: str | None, parts: tuple[PlannedPart, ...], most: int) -> Planned:
    """Plan a brief over its parts, which are in the sequence of the upload.

    text: the brief as it is stored. most: outputs that it plans.
    """
    brief, places = load(text), _places(parts)
    by_source = dict(zip(places, parts, strict=True))
    probes = {
        source: facts.load(part.facts)
        for source, part in by_source.items()
        if part.facts is not None
    }

    def look_of(video: int, look: int) -> Mapping[str, float]:
        seed = by_source["video", video].seed
        return render.parameters(seed, look, brief.recipe).values

    sources = _sources(parts)
    outputs = timelines(
        *(brief, plan(brief, sources, most, title=title).outputs, sources),
        {source: probe.part for source, probe in probes.items()},
        look_of=look_of,
    )
    return Planned(brief, places, probes, outputs, music_seconds=_music_seconds(outputs))


def _places(parts: Sequence[PlannedPart]) -> list[Source]:
    """Return role and place in it of each part."""
    counts: dict[Role, int] = {}
    found: list[Source] = []
    for part in parts:
        found.append((part.role, counts.get(part.role, 0)))
        counts[part.role] = counts.get(part.role, 0) + 1
    return found


def _sources(parts: Sequence[PlannedPart]) -> Sources:
    def of_role(role: Role) -> tuple[Part, ...]:
        return tuple(Part(part.name) for part in parts if part.role == role)

    return Sources(
        videos=of_role("video"),
        hooks=of_role("hook"),
        endings=of_role("ending"),
        overlays=of_role("overlay"),
        music=of_role("music"),
    )


def _music_seconds(outputs: Sequence[Timeline | Unmakeable]) -> dict[int, float]:
    found: dict[int, float] = {}
    for each in outputs:
        if isinstance(each, Timeline) and each.music is not None:
            found[each.music] = max(each.seconds, found.get(each.music, 0.0))
    return found
