"""From a plan and what probing found to timelines: which shots each output is joined from."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from jobserver.brief.frames import frame_size, joined_fps
from jobserver.brief.model import Brief, Headline, PlannedOutput, Sources
from jobserver.brief.timeline import (
    Appearance,
    Facts,
    LookParameters,
    Segment,
    Shot,
    SoundShape,
    Source,
    Timeline,
    Unmakeable,
)

JOINED_LOUDNESS = -14.0  # LUFS, where parts or music are joined and the brief says nothing
NO_CUT_S = 0.005  # less than a frame: what is no longer than that is left at the end
LookOf: TypeAlias = Callable[[int, int], LookParameters]  # main clip, look -> its parameters


@dataclass(frozen=True, kw_only=True)
class _Job:
    """All that is the same for every output."""

    brief: Brief
    sources: Sources
    facts: Facts
    fps: Fraction
    look_of: LookOf


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A segment before it is known which other outputs share its shot.

    whole: seconds of all of it. end: seconds that play, None: all.
    """

    source: Source
    appearance: Appearance
    has_sound: bool
    whole: float
    end: float | None = None


def timelines(
    brief: Brief,
    outputs: Sequence[PlannedOutput],
    sources: Sources,
    facts: Facts,
    *,
    look_of: LookOf,
) -> list[Timeline | Unmakeable]:
    """Return what each output consists of, in their sequence, or why it cannot be made.

    facts: of the main clips, hooks and endings; an output is not made of one that is missing.
    look_of: returns the parameters of a main clip's look, from 1.
    """
    rates = [
        facts[place].fps
        for place in [("video", n) for n in range(len(sources.videos))]
        if place in facts
    ]
    job = _Job(
        brief=brief,
        sources=sources,
        facts=facts,
        fps=joined_fps(brief.fps, rates),
        look_of=look_of,
    )
    drafts = [_drafted(job, output) for output in outputs]
    ends = _Ends(draft for each in drafts if isinstance(each, list) for draft in each)
    return [
        Unmakeable(output=output, reason=draft)
        if isinstance(draft, str)
        else _timeline(job, output, [ends.segment(each) for each in draft])
        for output, draft in zip(outputs, drafts, strict=True)
    ]


def shots_of(made: Iterable[Timeline | Unmakeable]) -> dict[str, Shot]:
    """Return every different shot that these outputs need, once, by its key."""
    shots = [
        shot
        for timeline in made
        if isinstance(timeline, Timeline)
        for segment in timeline.segments
        for shot in (segment.picture, segment.sound)
        if shot is not None
    ]
    return {shot.key: shot for shot in shots}


def _drafted(job: _Job, output: PlannedOutput) -> list[_Draft] | str:
    """Return the segments of an output as they play, or why it cannot be made."""
    places = _places(job.sources, output)
    for role, index in places:
        if (role, index) not in job.facts:
            return f"The {role} {job.sources.of_role(role)[index].name} cannot be used"
    fps = job.fps if len(places) > 1 else None
    lasting = [_seconds(job, place, output, fps) for place in places]
    main = places.index(("video", output.video))
    around = sum(lasting) - lasting[main]
    end = None
    if output.axes.length != "full":
        rest = _on_frame(Fraction(str(output.axes.length)), fps) - around
        if rest <= 0:
            return _too_short(output, float(around))
        end = float(rest) if lasting[main] - rest > NO_CUT_S else None
    starts = [float(sum(lasting[:n])) for n in range(len(places))]
    return [
        _Draft(
            source=place,
            appearance=_appearance(job, place, output, shows=(start, float(whole)), fps=fps),
            has_sound=job.facts[place].has_sound,
            whole=float(whole),
            end=end if place == places[main] else None,
        )
        for place, start, whole in zip(places, starts, lasting, strict=True)
    ]


def _places(sources: Sources, output: PlannedOutput) -> list[Source]:
    """Return the sources of an output's picture as they play."""
    places: list[Source] = [("video", output.video)]
    if output.axes.hook is not None:
        places.insert(0, ("hook", sources.index("hook", output.axes.hook)))
    if output.axes.ending is not None:
        places.append(("ending", sources.index("ending", output.axes.ending)))
    return places


def _seconds(job: _Job, place: Source, output: PlannedOutput, fps: Fraction | None) -> Fraction:
    """Return how long all of a part plays."""
    facts = job.facts[place]
    seconds = Fraction(job.brief.still_seconds if facts.still else facts.duration)
    if place[0] == "video":
        seconds /= _speed(job, output)
    return _on_frame(seconds, fps)


def _speed(job: _Job, output: PlannedOutput) -> Fraction:
    """Return the speed of an output's main clip: as its axis says, times that of its look."""
    look = _look(job, output) or {}
    return Fraction(str(output.axes.speed)) * Fraction(str(look.get("speed", 1)))


def _look(job: _Job, output: PlannedOutput) -> LookParameters | None:
    look = output.axes.look
    return None if look is None else job.look_of(output.video, look)


def _on_frame(seconds: Fraction, fps: Fraction | None) -> Fraction:
    """Return the end of the frame that ends nearest; any time where frames keep their own."""
    return seconds if fps is None else max(1, round(seconds * fps)) / fps


def _too_short(output: PlannedOutput, around: float) -> str:
    parts = [name for name in ("hook", "ending") if getattr(output.axes, name) is not None]
    named, verb = " and ".join(parts).capitalize(), "takes" if len(parts) == 1 else "take"
    length = f"{output.axes.length:g} s"
    return f"{named} {verb} {around:.4g} s: nothing of the main clip fits into {length}"


def _appearance(
    job: _Job,
    place: Source,
    output: PlannedOutput,
    *,
    shows: tuple[float, float],
    fps: Fraction | None,
) -> Appearance:
    """Return how a part appears. shows: when it begins in the output, and how long all of it is."""
    brief, axes, main = job.brief, output.axes, job.facts["video", output.video]
    width, height = frame_size(axes.format, brief.size, (main.width, main.height))
    appearance = Appearance(
        width=width,
        height=height,
        format=axes.format,
        fit=brief.fit,
        pad_color=brief.pad_color,
        focus=(float(brief.focus[0]), float(brief.focus[1])),
        fps=fps,
        headline=None if place[0] == "ending" else _shifted(output.headline, *shows),
        logo=brief.logo,
        seconds=shows[1] if job.facts[place].still else None,
    )
    if place[0] != "video":
        return appearance
    look = _look(job, output)
    return replace(
        appearance,
        speed=float(_speed(job, output)),
        mirror=axes.mirror,
        look=None if look is None else tuple(sorted(look.items())),
    )


def _shifted(headline: Headline | None, begins: float, seconds: float) -> Headline | None:
    """Return a headline with the times of a shot that begins then; None: it is not seen there.

    A time before the shot or behind it is left out, so that more outputs share the shot.
    """
    if headline is None:
        return None
    start = (headline.start or 0.0) - begins
    end = None if headline.end is None else headline.end - begins
    if start >= seconds or (end is not None and end <= 0):
        return None
    return replace(
        headline,
        start=round(start, 6) if start > 0 else None,
        end=round(end, 6) if end is not None and end < seconds else None,
    )


def _timeline(job: _Job, output: PlannedOutput, segments: list[Segment]) -> Timeline:
    brief, music = job.brief, output.axes.music
    joined = len(segments) > 1
    usual = JOINED_LOUDNESS if joined or music is not None else None
    return Timeline(
        output=output,
        segments=tuple(segments),
        fps=job.fps if joined else None,
        music=None if music is None else job.sources.index("music", music),
        loudness=usual if brief.loudness is None else brief.loudness,
        music_volume=brief.music_volume,
    )


class _Ends:
    """The ends at which outputs leave each shot; None is the end of all of it.

    The shot lasts until the latest, and has a keyframe at each other.
    """

    def __init__(self, drafts: Iterable[_Draft]) -> None:
        self._pictures: dict[tuple[Source, Appearance], set[float | None]] = defaultdict(set)
        self._sounds: dict[tuple[Source, float], set[float | None]] = defaultdict(set)
        self._shots: dict[Shot, Shot] = {}  # one object each, so that its key is made once
        for draft in drafts:
            self._pictures[draft.source, draft.appearance].add(draft.end)
            self._sounds[draft.source, draft.appearance.speed].add(draft.end)

    def segment(self, draft: _Draft) -> Segment:
        """Return a segment with the shots that it shares with others."""
        last = _latest(self._pictures[draft.source, draft.appearance])
        return Segment(
            picture=self._picture(draft, last),
            sound=self._sound(draft) if draft.has_sound else None,
            seconds=draft.whole if draft.end is None else draft.end,
            cut=draft.end != last,
        )

    def _picture(self, draft: _Draft, last: float | None) -> Shot:
        role, index = draft.source
        ends = self._pictures[draft.source, draft.appearance] - {None, last}
        appearance = replace(
            draft.appearance,
            seconds=draft.appearance.seconds if last is None else last,
            keyframes=tuple(sorted(end for end in ends if end is not None)),
        )
        return self._shared(Shot(role=role, source=index, picture=appearance))

    def _sound(self, draft: _Draft) -> Shot:
        role, index = draft.source
        speed = draft.appearance.speed
        seconds = _latest(self._sounds[draft.source, speed])
        return self._shared(
            Shot(role=role, source=index, sound=SoundShape(speed=speed, seconds=seconds))
        )

    def _shared(self, shot: Shot) -> Shot:
        return self._shots.setdefault(shot, shot)


def _latest(ends: set[float | None]) -> float | None:
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
