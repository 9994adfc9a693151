"""What goes into a job and what comes out. Sizes are bytes, progress whole percent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A job that is asked for. What is None or empty is left to the server.

    brief: as docs/brief.md has it. webhook_events: names of events.
    """

    videos: Sequence[str | Path]
    hooks: Sequence[str | Path] = ()
    endings: Sequence[str | Path] = ()
    overlays: Sequence[str | Path] = ()
    music: Sequence[str | Path] = ()
    variations: int | None = None
    recipe: str | None = None
    seed: int | None = None
    title: str | None = None
    brief: Mapping[str, Any] | None = None
    webhook: str | None = None
    webhook_events: Sequence[str] = ()

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield the field and the path of each file, videos first."""
        for name in ("videos", "hooks", "endings", "overlays", "music"):
            for path in getattr(self, name):
                yield name, Path(path)

    def options(self) -> dict[str, Any]:
        """Return what was given beside files, by the names of the API."""
        given = {
            **{name: getattr(self, name) for name in ("variations", "recipe", "seed", "title")},
            "brief": self.brief,
            "webhook": self.webhook,
            "webhookEvents": ",".join(self.webhook_events) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Output:
    """One finished variation. name: what it is saved as, unlike all others of its job."""

    id: str
    name: str
    size: int
    sha256: str

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Output":
        """Read an output of a job's status."""
        name = found.get("downloadName") or found["name"]
        return cls(found["id"], name, found["size"], found["sha256"])


@dataclass(frozen=True)
class Job:
    """A job as the server shows it. outputs: those that are finished. json: all that was said."""

    id: str
    status: str
    progress: int
    title: str | None
    completed: int
    total: int
    outputs: Sequence[Output] = ()
    json: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Job":
        """Read a job's status, or an entry of the list of jobs."""
        files = found.get("files", ())
        outputs = [Output.from_json(each) for file in files for each in file.get("outputs", ())]
        completed = found.get("completedVariations")
        if completed is None:
            completed = sum(file.get("completedVariations", 0) for file in files)
        return cls(
            id=found.get("jobId") or found["id"],
            status=found["status"],
            progress=found.get("progress", 0),
            title=found.get("title"),
            completed=completed,
            total=found["totalVariations"],
            outputs=outputs,
            json=found,
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more of it will be rendered."""
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether it has ended, and everything that was asked for is there."""
        return self.status == "completed" and self.completed >= self.total

    @property
    def problems(self) -> list[str]:
        """Why files, or outputs of a brief, could not be made: sentences."""
        found = []
        for file in (*self.json.get("files", ()), *(self.json.get("assets") or ())):
            if file.get("error"):
                found.append(f"{file['name']}: {file['error']}")
            for output in file.get("failedOutputs") or ():
                found.append(f"{output['name']}: {output['reason']}")
        return found
