"""From a brief to its outputs: which, what each is called, and how much is encoded for them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from jobserver.brief import names
from jobserver.brief.combine import (
    VARIED,
    axis_value,
    combined,
    exclusions_of,
    fewest,
    space_of,
    values_of,
)
from jobserver.brief.document import WHOLE
from jobserver.brief.errors import BriefError, quoted
from jobserver.brief.model import Axes, Brief, Exclusion, Headline, Plan, PlannedOutput, Sources
from jobserver.brief.space import Combination

Exclusions: TypeAlias = tuple[Exclusion, ...]


class _Choice(NamedTuple):
    """What one output has, before it has a name. place: of its headline, from 1."""

    video: int
    number: int
    axes: Axes
    headline: Headline | None
    place: int


def plan(brief: Brief, sources: Sources, max_outputs: int, title: str | None = None) -> Plan:
    """Return all outputs of a job. title: of the job, for names.

    Raises BriefError for more than `max_outputs`, before any list of them is made where they are
    many; where exclusions leave nothing of a main clip, or of a file.
    """
    excluded = [exclusions_of(brief, part.name) for part in sources.videos]
    first: dict[Exclusions, str] = {}  # main clips of which the same is excluded are planned once
    for each, part in zip(excluded, sources.videos, strict=True):
        first.setdefault(each, part.name)
    spaces, counts = {}, {}
    for each, name in first.items():
        space = space_of(brief, each)
        if space is None or not (count := fewest(brief, space)):
            raise BriefError("exclude", f"leaves no output of {quoted(name)}")
        spaces[each], counts[each] = space, count
    _require_few(sum(counts[each] for each in excluded), max_outputs, brief)
    rows = {each: combined(brief, space) for each, space in spaces.items()}
    choices = [
        choice
        for video, part in enumerate(sources.videos)
        for choice in _choices(brief, part.name, video, rows[excluded[video]])
    ]
    _require_few(len(choices), max_outputs, None)
    if not isinstance(brief.combine, int):  # a sample may leave values out
        _require_use(brief, choices)
    return Plan(tuple(_named(brief, choices, title)), shots=len(set(_shots(choices))))


def _require_few(count: int, most: int, brief: Brief | None) -> None:
    """Raise BriefError for too many. brief: where the count may be too low."""
    if count > most:
        least = "at least " if brief is not None and brief.combine == "pairs" else ""
        raise BriefError(WHOLE, f"would make {least}{count} outputs; at most {most} can be made")


def _choices(brief: Brief, name: str, video: int, rows: Sequence[Combination]) -> Iterator[_Choice]:
    values = values_of(brief)
    for number, combination in enumerate(rows, 1):
        chosen: dict[str, Any] = {
            axis: values[axis][index] for axis, index in zip(VARIED, combination, strict=True)
        }
        said = {axis: axis_value(value) for axis, value in chosen.items()}
        yield _Choice(
            video=video,
            number=number,
            axes=Axes(video=name, **said),
            headline=chosen["headline"],
            place=combination[VARIED.index("headline")] + 1,
        )


def _require_use(brief: Brief, choices: list[_Choice]) -> None:
    """Raise BriefError for a file that a list names and exclusions leave in no output."""
    for axis, listed in (("hook", brief.hooks), ("ending", brief.endings), ("music", brief.music)):
        used = {getattr(choice.axes, axis) for choice in choices}
        for name in listed:
            if name not in used:
                raise BriefError("exclude", f"leaves no output with the {axis} {quoted(name)}")


def _named(brief: Brief, choices: list[_Choice], title: str | None) -> Iterator[PlannedOutput]:
    template = names.template_of(brief, title)
    filled = [
        names.fill(
            template,
            names.fields(choice.axes, choice.place, title) | {"n": str(choice.number)},
        )
        for choice in choices
    ]
    for choice, name in zip(choices, names.unlike(filled), strict=True):
        yield PlannedOutput(
            video=choice.video,
            number=choice.number,
            name=name,
            axes=choice.axes,
            headline=choice.headline,
        )


def _shots(choices: list[_Choice]) -> Iterator[tuple[object, ...]]:
    """Yield what tells the shots of each output apart, as far as it is known before probing.

    All lengths of a main clip are one shot. A headline with a time appears in the main clip as
    much later as the hook ends earlier. Frames of joined outputs have one rate for all of a job,
    a single part keeps its own.
    """
    for video, _, axes, headline, _ in choices:
        joined = axes.hook is not None or axes.ending is not None
        timed = headline is not None and (headline.start, headline.end) != (None, None)
        look = (axes.speed, axes.mirror, axes.look, headline, axes.hook if timed else None)
        yield ("video", video, axes.format, joined, *look)
        if axes.hook is not None:
            yield ("hook", axes.hook, axes.format, headline)
        if axes.ending is not None:
            yield ("ending", axes.ending, axes.format)
