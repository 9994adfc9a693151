"""Which outputs of a video a claim joins, what becomes of them, and which shots go with them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property

from jobserver.brief.model import PlannedOutput
from jobserver.brief.timeline import Shot, Timeline, Unmakeable
from jobserver.files.store import Staged
from jobserver.jobs import shots
from jobserver.jobs.model import UNFINISHED, FailedOutput
from jobserver.render import Fingerprint
from jobserver.worker.plans import JobPlan
from jobserver.worker.publish import Staging


class ShotMissing(Exception):
    """A shot that an output needs has gone: its row, or the object."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Batch:
    """todo: outputs that are to be joined yet. staged, failed: what has become of the others."""

    def __init__(
        self,
        plan: JobPlan,
        file_id: str,
        kept: Mapping[str, shots.Shot],
        picture: Fingerprint | None = None,
    ) -> None:
        """file_id: of the video. kept: the shots of its job that are there, by key.

        picture: of the video, if it is known.
        """
        self.picture = picture
        self.plan, self._file_id, self._kept = plan, file_id, kept
        _, self._video = plan.source_of(file_id)
        missing = list(plan.missing(self._video))
        self.todo = [each for each in missing if isinstance(each, Timeline)]
        self.staged: list[Staging] = []
        self.failed: list[FailedOutput] = []
        for each in missing:
            if isinstance(each, Unmakeable):
                self.fail(each.output, each.reason)
        self._begun = list(self.todo)

    def fail(self, output: PlannedOutput, reason: str) -> None:
        """List an output as failed."""
        failed = FailedOutput(
            file_id=self._file_id,
            number=output.number,
            name=output.name,
            axes=json.dumps(output.axes._asdict()),
            reason=reason,
        )
        self.failed.append(failed)

    @property
    def files(self) -> list[Staged]:
        """What becomes visible."""
        return [file for each in self.staged for file in each.files]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was missing when the claim began."""
        return not (self._begun or self.failed)

    def shot(self, shot: Shot) -> shots.Shot:
        """Return a shot as it is kept. Raises ShotMissing."""
        found = self._kept.get(shot.key)
        if found is None:
            raise ShotMissing(shot.key)
        return found

    def require_shots(self) -> None:
        """Raise ShotMissing unless all that is needed is there."""
        for shot in self._shots_in(self.todo):
            self.shot(shot)

    def seconds_of_shots(self, timeline: Timeline) -> float:
        """Return how long an output's shots took, each shared with the others that have it."""
        took = {
            shot.key: json.loads(self.shot(shot).facts)["took"]
            for shot in self.plan.shots_in(timeline)
        }
        return float(sum(seconds / self._users[key] for key, seconds in took.items()))

    @cached_property
    def _users(self) -> Counter[str]:
        """How many outputs of the job each shot is in."""
        return Counter(
            key
            for each in self.plan.outputs
            if isinstance(each, Timeline)
            for key in {shot.key for shot in self.plan.shots_in(each)}
        )

    def unneeded(self) -> set[str]:
        """Return the keys of shots that no other output of the job will be joined of."""
        videos = [
            place
            for (role, place), file in self.plan.files.items()
            if role == "video" and place != self._video and file.status in UNFINISHED
        ]
        others = [each for video in videos for each in self.plan.missing(video)]
        waiting = [*self.todo, *(each for each in others if isinstance(each, Timeline))]
        still = {shot.key for shot in self._shots_in(waiting)}
        return {shot.key for shot in self._shots_in(self._begun)} - still

    def _shots_in(self, timelines: Iterable[Timeline]) -> Iterable[Shot]:
        return (shot for each in timelines for shot in self.plan.shots_in(each))
