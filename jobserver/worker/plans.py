"""A job with a brief at one moment: its files, its outputs, which are missing, and of what.

Everything follows from rows, so two workers, or one after a crash, come to the same: nothing of
a plan is kept.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jobserver.brief.model import Brief, PlannedOutput
from jobserver.brief.timeline import Shot, SoundShape, Source, Timeline, Unmakeable
from jobserver.db import Connection
from jobserver.jobs import queries, stages
from jobserver.jobs.model import UNFINISHED, File, Job
from jobserver.jobs.seeds import seed_of
from jobserver.worker.facts import Probe
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.planned import PlannedPart, planned

# What is counted as encoded: seconds of picture; of sound, and of outputs that are joined, this
# share, since nothing of their picture is encoded.
SOUND_COST, JOIN_COST = 0.03, 0.03

Cost = float  # seconds


class Advance:
    """The progress of a claimed file while its claim does something."""

    def __init__(self, held: HeldClaim, total: Cost, remaining: Cost) -> None:
        """total: of the file. remaining: when the claim began."""
        self._held, self._total, self._remaining = held, total, remaining

    def add(self, cost: Cost) -> None:
        """Count what has been done; progress never falls."""
        self._remaining -= cost
        self._show(self._remaining)

    def show(self, share: float, cost: Cost) -> None:
        """Show that a share, 0 to 1, of the next piece of work is done."""
        self._show(self._remaining - share * cost)

    def _show(self, remaining: Cost) -> None:
        if self._total:
            self._held.progress = max(self._held.progress, 1 - remaining / self._total)


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """files: by role and place. probes: of those that are known.

    outputs: all of the job, by video and number. made: those that are published, or are listed
    as failed, by video and number. music_seconds: of the longest output with it, by its place.
    """

    job: Job
    files: Mapping[Source, File]
    probes: Mapping[Source, Probe]
    outputs: Sequence[Timeline | Unmakeable]
    made: Collection[tuple[int, int]]
    music_seconds: Mapping[int, float]

    @cached_property
    def _places(self) -> dict[str, Source]:
        return {file.id: source for source, file in self.files.items()}

    def source_of(self, file_id: str) -> Source:
        """Return role and place of a file."""
        return self._places[file_id]

    def missing(self, video: int) -> Iterator[Timeline | Unmakeable]:
        """Yield the outputs of a video that are neither published nor listed as failed."""
        return (
            each
            for each in self.outputs
            if each.output.video == video and (video, each.output.number) not in self.made
        )

    def shots_in(self, timeline: Timeline) -> Iterator[Shot]:
        """Yield every shot that an output is made of, music as well."""
        for segment in timeline.segments:
            yield segment.picture
            if segment.sound is not None:
                yield segment.sound
        if timeline.music is not None:
            yield self.music_shot(timeline.music)

    def music_shot(self, place: int) -> Shot:
        """Return the sound that music is kept as: enough of it for the longest output."""
        shape = SoundShape(seconds=self.music_seconds[place])
        return Shot(role="music", source=place, sound=shape)

    def shots_of(self, source: Source) -> dict[str, Shot]:
        """Return every shot of a source, by key, in the sequence in which outputs need them."""
        return self._shots_of(source, self._timelines)

    def _shots_of(self, source: Source, outputs: Sequence[Timeline]) -> dict[str, Shot]:
        return {
            shot.key: shot
            for each in outputs
            for shot in self.shots_in(each)
            if (shot.role, shot.source) == source
        }

    def needed(self, source: Source) -> dict[str, Shot]:
        """Return the shots of a source that outputs need which are missing of unfinished videos."""
        videos = [
            place
            for (role, place), file in self.files.items()
            if role == "video" and file.status in UNFINISHED
        ]
        missing = [each for video in videos for each in self.missing(video)]
        return self._shots_of(source, [each for each in missing if isinstance(each, Timeline)])

    @property
    def _timelines(self) -> list[Timeline]:
        return [each for each in self.outputs if isinstance(each, Timeline)]

    # -- how much it is -----------------------------------------------------------------------

    def cost(self, source: Source) -> Cost:
        """Return what is encoded of a source in all: its weight in the progress of the job."""
        joins = sum(each.seconds for each in self._timelines if source == _video(each))
        return self.shots_cost(self.shots_of(source).values()) + JOIN_COST * joins

    def remaining(self, source: Source, shots: Collection[str]) -> Cost:
        """Return how much of it is still to be done. shots: keys of those that are there."""
        needed = [shot for key, shot in self.needed(source).items() if key not in shots]
        role, place = source
        joins = (
            each.seconds
            for each in (self.missing(place) if role == "video" else ())
            if isinstance(each, Timeline)
        )
        return self.shots_cost(needed) + JOIN_COST * sum(joins)

    def shots_cost(self, shots: Collection[Shot]) -> Cost:
        """Return how much it is to encode these shots."""
        return sum(map(self._shot_cost, shots))

    def _shot_cost(self, shot: Shot) -> Cost:
        shape = shot.picture or shot.sound
        assert shape is not None  # noqa: S101  one of the two is set
        seconds = shape.seconds
        if seconds is None:
            seconds = self.probes[shot.role, shot.source].part.duration / shape.speed
        return seconds if shot.picture else SOUND_COST * seconds


def load(db: Connection, job_id: str) -> JobPlan | None:
    """Return what there is of a job with a brief, or None when it has gone."""
    job, text = queries.find_job(db, job_id), queries.brief_of(db, job_id)
    if job is None or text is None:
        return None
    files = queries.files_of(db, job_id)
    known = stages.facts_of(db, job_id)
    parts = tuple(
        PlannedPart(file.role, file.name, seed_of(job, file), known.get(file.id)) for file in files
    )
    found = planned(text, job.title, parts, job.total_variations)
    by_source = dict(zip(found.sources, files, strict=True))
    numbers = {file.id: place for (role, place), file in by_source.items() if role == "video"}
    failed = [file for file in files if file.status == "failed"]
    return JobPlan(
        job=job,
        files=by_source,
        probes=found.probes,
        outputs=[_explained(each, found.brief, failed) for each in found.outputs],
        made={(numbers[file_id], number) for file_id, number in stages.made_outputs(db, job_id)},
        music_seconds=found.music_seconds,
    )


def _explained(
    each: Timeline | Unmakeable, brief: Brief, failed: Sequence[File]
) -> Timeline | Unmakeable:
    """Return an output as one that cannot be made when a part of it has failed.

    It is planned all the same, so that the shots of the others stay what they are.
    """
    for file in failed:
        if _uses(each.output, brief, file):
            reason = f"The {file.role} {file.name} could not be used: {file.error}"
            return Unmakeable(output=each.output, reason=reason)
    return each


def _uses(output: PlannedOutput, brief: Brief, file: File) -> bool:
    if file.role == "overlay":
        return brief.logo is not None and brief.logo.overlay == file.name
    return bool(getattr(output.axes, file.role) == file.name)


def _video(timeline: Timeline) -> Source:
    return ("video", timeline.output.video)
