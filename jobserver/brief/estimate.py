"""How much a plan would make, from the durations that its client says its files have."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from jobserver.brief.assemble import shots_of, timelines
from jobserver.brief.model import Brief, Part, Plan, Sources
from jobserver.brief.timeline import Facts, PartFacts, Source, Timeline, Unmakeable

# Sizes and rates are not known before probing; most ads are shot like this.
ASSUMED = PartFacts(duration=0.0, width=1080, height=1920, fps=Fraction(30), has_sound=True)
STILL = PartFacts(duration=0.0, width=1080, height=1920, still=True)
STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MEGA = 1_000_000


class Work(NamedTuple):
    """What a plan costs. encoded, shown: megapixels times seconds, of shots and of outputs.

    joins: how many outputs are joined. seconds: of all of them together.
    """

    encoded: float
    shown: float
    joins: int
    seconds: float


def expected(brief: Brief, planned: Plan, sources: Sources) -> list[Timeline | Unmakeable] | None:
    """Return the outputs as far as durations say them, or None where one is missing.

    Endings that are named as pictures need none. All frames are taken to be of one size and rate.
    """
    facts = _facts(sources)
    if facts is None:
        return None
    return timelines(
        brief, planned.outputs, sources, facts, look_of=lambda _, look: {"look": float(look)}
    )


def work_of(made: Sequence[Timeline | Unmakeable]) -> Work:
    """Return what these outputs cost; those that cannot be made cost nothing."""
    outputs = [each for each in made if isinstance(each, Timeline)]
    lasting: dict[str, float] = {}  # seconds of each shot: of the output that has most of it
    for segment in (segment for each in outputs for segment in each.segments):
        key = segment.picture.key
        lasting[key] = max(lasting.get(key, 0.0), segment.seconds)
    pixels = {
        key: shot.picture.width * shot.picture.height / MEGA
        for key, shot in shots_of(outputs).items()
        if shot.picture
    }
    return Work(
        encoded=sum(pixels[key] * seconds for key, seconds in lasting.items()),
        shown=sum(pixels[each.segments[0].picture.key] * each.seconds for each in outputs),
        joins=len(outputs),
        seconds=sum(each.seconds for each in outputs),
    )


def _facts(sources: Sources) -> Facts | None:
    facts: dict[Source, PartFacts] = {}
    for role in ("video", "hook", "ending"):
        for index, part in enumerate(sources.of_role(role)):
            if (found := _facts_of(part, still=role == "ending" and _is_still(part))) is None:
                return None
            facts[role, index] = found
    return facts


def _is_still(part: Part) -> bool:
    return part.name.lower().endswith(STILL_SUFFIXES)


def _facts_of(part: Part, *, still: bool) -> PartFacts | None:
    if still:
        return STILL
    return None if part.duration is None else replace(ASSUMED, duration=part.duration)
