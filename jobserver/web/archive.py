"""All that is published of a job as one ZIP, which grows while the job is rendered.

Its members come in the sequence in which they were published and stay where they are. What
follows them differs from one ZIP of the job to the next: the manifest and the directory.
"""

import json
from collections.abc import Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Any

from jobserver.files.keys import placed_key
from jobserver.files.store import Store
from jobserver.files.zip import Archive, Member, archive_length, members_end, text_member
from jobserver.jobs.model import File, Job, Output, OutputHistory
from jobserver.jobs.seeds import seed_of
from jobserver.web import names

# What the manifest says of a source and may change without a new output. Room is kept for it, so
# that outputs alone decide how long a ZIP is: none of the same outputs was ever longer.
CHANGING = ("sha256", "status", "error")
ROOM = 512  # bytes a source: a hash, a status and an error
MAX_ERROR_LENGTH = 200  # characters; no sentence of ours is as long


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
    ) -> None:
        """outputs: in the sequence of their publication, at least one."""
        self._job, self._files, self._outputs, self._store = job, files, outputs, store
        self._stems = names.stems(files)
        self._positions = {file.id: file.position for file in files}
        self._only_grew = history.appeared == len(outputs) and not history.removed
        self._final = job.ended and not history.changed_since

    def open(self) -> Archive:
        """Open every output. Raises FileNotFoundError for one that is missing, and OSError."""
        return Archive(self._members, self._manifest(self._outputs))

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
        return archive_length(self._members[:count], self._manifest(self._outputs[:count]))

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
        stem = self._stems[output.file_id]
        folder = f"{self._positions[output.file_id] + 1:02}_{stem}"
        return f"{folder}/{names.variation_name(stem, output.number)}"

    def _manifest(self, outputs: Sequence[Output]) -> Member:
        """Return how to make these outputs again, and what became of each source."""
        newest = max(output.created_at for output in outputs)
        sources = [_source_entry(self._job, file) for file in self._files]
        by_file = {file.id: source for file, source in zip(self._files, sources, strict=True)}
        for output in sorted(outputs, key=lambda each: each.number):
            by_file[output.file_id]["outputs"].append(_output_entry(output, self._path(output)))
        room = ROOM * len(sources) - sum(
            len(_to_json(source[key])) for source in sources for key in CHANGING
        )
        manifest = {
            "jobId": self._job.id,
            "recipe": self._job.recipe,
            "seed": self._job.seed,
            "variationsPerVideo": self._job.variations_per_video,
            "sources": sources,
        }
        return text_member("manifest.json", _to_json(manifest) + b" " * room + b"\n", newest)


def _source_entry(job: Job, file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "seed": seed_of(job, file),
        "status": file.status,
        "error": file.error and file.error[:MAX_ERROR_LENGTH],
        "outputs": [],
    }


def _output_entry(output: Output, path: str) -> dict[str, Any]:
    return {
        "index": output.number,
        "path": path,
        "size": output.size,
        "sha256": output.sha256,
        "parameters": json.loads(output.parameters),
        "madeWith": output.made_with,
    }


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace")
