"""All that is published of a job as one ZIP, which grows while the job is rendered.

Its members come in the sequence in which they were published and stay where they are. What
follows them differs from one ZIP of the job to the next: the manifest and the directory.
"""

from collections.abc import Collection, Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise

from jobserver.brief.model import Brief
from jobserver.files.keys import placed_key
from jobserver.files.store import Store
from jobserver.files.zip import Archive, Member, archive_length, members_end
from jobserver.jobs.model import File, Job, Output, OutputHistory
from jobserver.web import names
from jobserver.web.manifest import Manifest


class JobArchive:
    """The ZIP of a job as it is now, and what it has in common with earlier ones."""

    def __init__(
        self,
        job: Job,
        files: Sequence[File],
        outputs: Sequence[Output],
        *,
        history: OutputHistory,
        store: Store,
        brief: Brief | None = None,
        chosen: Collection[str] | None = None,
    ) -> None:
        """files: of every role. outputs: in the sequence of their publication, at least one.

        chosen: the ids of outputs that alone are members.
        """
        videos = [file for file in files if file.role == "video"]
        self._job, self._store = job, store
        self._outputs = [each for each in outputs if chosen is None or each.id in chosen]
        self._folders, self._stems = names.stems(videos), names.stems(videos, job.title)
        self._manifest = Manifest(job, files, brief, self._path)
        self._positions = {file.id: file.position for file in files}
        self._only_grew = history.appeared == len(outputs) and not history.removed
        self._final = job.ended and not history.changed_since

    def open(self) -> Archive:
        """Open every output. Raises FileNotFoundError for one that is missing, and OSError."""
        return Archive(self._members, self._manifest.members(self._outputs))

    def is_shared(self, place: int) -> bool:
        """Return whether each ZIP of the job that reached to `place` had the same bytes so far.

        Who asks for what follows and does not say which ZIP the bytes before are of (If-Range)
        may have those of any. Where this one has members, an earlier one may have had its tail.
        """
        if place == 0 or not self._only_grew:
            return place == 0
        if self._ends[-1] < place < self._length() and not self._final:
            return False
        shorter = [count for count in self._earlier_counts if self._ends[count] < place]
        return not shorter or self._length(shorter[-1]) < place

    def _length(self, count: int | None = None) -> int:
        """Return how long the ZIP was when it had `count` members; without it, is now."""
        index = self._manifest.members(self._outputs[:count])
        return archive_length(self._members[:count], index)

    @cached_property
    def _ends(self) -> list[int]:
        """Where the first so many members end, by their count."""
        return [0, *accumulate(members_end([member]) for member in self._members)]

    @cached_property
    def _earlier_counts(self) -> list[int]:
        """How many members the ZIP had after each publication but the last, ascending."""
        return [
            count
            for count, (output, following) in enumerate(pairwise(self._outputs), 1)
            if output.created_at != following.created_at
        ]

    @cached_property
    def _members(self) -> list[Member]:
        opened = self._store.opener(self._job.id)
        return [
            Member(
                name=self._path(output),
                size=output.size,
                crc32=output.crc32,
                modified=output.created_at,
                content=partial(opened, placed_key(output.place, self._job.id, output.name)),
            )
            for output in self._outputs
        ]

    def _path(self, output: Output) -> str:
        folder = f"{self._positions[output.file_id] + 1:02}_{self._folders[output.file_id]}"
        return f"{folder}/{names.variation_name(self._stems[output.file_id], output)}"
