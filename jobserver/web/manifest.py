"""What a ZIP says about its videos: JSON to make them again, CSV for bulk uploads and spreadsheets.

Both lie behind the videos. Outputs alone decide how long they are: room is kept for what changes
without a new output, so none of the same outputs was ever longer.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobserver.brief import recipes
from jobserver.brief.model import AXES, Brief
from jobserver.brief.stored import to_document
from jobserver.files.zip import Member, text_member
from jobserver.jobs.model import File, Job, Output
from jobserver.jobs.seeds import seed_of
from jobserver.web.credentials import credentials_json, in_words
from jobserver.web.fit import fitting, placements_of
from jobserver.web.schemas import difference_json, wished_variations

CHANGING = ("sha256", "status", "error", "contentCredentials")  # of a source, without a new output
ROOM = 1024  # bytes a source: a hash, a status, an error, and who claims what
DEPTH = 3  # of a source's values in the manifest; an object is indented by so many levels
MAX_ERROR_LENGTH = 200  # characters; no sentence of ours is as long
MEASURES = ("width", "height", "duration", "integrated", "truePeak", "size", "sha256", "outputId")
NAMED = ("placements", "contentCredentials")  # what fits, and which sources carry them
DIFFERENCE = ("source", "opening", "label", "nearest", "nearestOutput", "nearestLabel")
# What changes when a sibling is published: padded to its longest, as bytes of both files.
NEAREST, NEAREST_ROOM = DIFFERENCE[3:], 48
# What a spreadsheet would take for a formula, also behind what some take for the end of a cell.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = re.compile(r"(^|[\t\r\n;,|\"'])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


class Manifest:
    """Describes the outputs of one job. path: of an output in the ZIP."""

    def __init__(
        self,
        job: Job,
        files: Sequence[File],
        brief: Brief | None,
        path: Callable[[Output], str],
    ) -> None:
        """files: of every role."""
        self._job, self._files, self._brief, self._path = job, files, brief, path

    def members(self, outputs: Sequence[Output]) -> list[Member]:
        """Return `manifest.json` and `manifest.csv` of these outputs, at least one."""
        newest = max(output.created_at for output in outputs)
        return [
            text_member("manifest.json", self._json(outputs), newest),
            text_member("manifest.csv", self._csv(outputs), newest),
        ]

    def _json(self, outputs: Sequence[Output]) -> bytes:
        """Return how to make these outputs again, and what became of each source."""
        entries = {file.id: _source_entry(self._job, file) for file in self._files}
        for output in sorted(outputs, key=lambda each: each.number):
            entries[output.file_id]["outputs"].append(_output_entry(output, self._path(output)))
        room = ROOM * len(entries) - sum(
            len(_to_json(entry[key]).replace(b"\n", b"\n" + b"  " * DEPTH))
            for entry in entries.values()
            for key in CHANGING
        )
        room += sum(len(_padding(output, b"null")) for output in outputs)
        manifest = {
            "jobId": self._job.id,
            "title": self._job.title,
            "recipe": recipes.shown(self._job.recipe),
            "seed": self._job.seed,
            "variationsPerVideo": self._job.variations_per_video,
            "totalVariations": self._job.total_variations,
            "brief": self._brief and to_document(self._brief),
            "variations": wished_variations(self._job, self._brief),
            "sources": [entries[file.id] for file in self._files if file.role == "video"],
            "assets": [_asset(entries[each.id]) for each in self._files if each.role != "video"],
        }
        return _to_json(manifest) + b" " * room + b"\n"

    def _csv(self, outputs: Sequence[Output]) -> bytes:
        """Return a line an output, in their sequence in the status."""
        text = io.StringIO()
        lines = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
        lines.writerow(("path", *AXES, *MEASURES, *NAMED, *map(_headed, DIFFERENCE), "padding"))
        positions = {file.id: (file.position, file.name) for file in self._files}
        for output in sorted(outputs, key=lambda each: (positions[each.file_id], each.number)):
            lines.writerow(map(harmless, self._line(output, positions[output.file_id][1])))
        return text.getvalue().encode("utf-8", "replace")

    def _line(self, output: Output, video: str) -> list[Any]:
        axes = {"video": video, "look": output.number}
        axes = axes if output.axes is None else json.loads(output.axes)
        loudness = json.loads(output.loudness or "{}")
        measured = {
            **output._asdict(),
            "integrated": loudness.get("integrated"),
            "truePeak": loudness.get("truePeak"),
            "outputId": output.id,
        }
        values = [*(axes.get(name) for name in AXES), *(measured[name] for name in MEASURES)]
        found: Mapping[str, Any] = difference_json(output) or {}
        named = (fitting(placements_of(output)), in_words(self._sources(axes)))
        differing = (found.get(name) for name in DIFFERENCE)
        return [self._path(output), *values, *named, *differing, _padding(output, b'""')]

    def _sources(self, axes: Mapping[str, Any]) -> list[File]:
        """Return the files that an output with these axes was made of."""
        logo = self._brief and self._brief.logo
        used = {(role, axes.get(role)) for role in ("video", "hook", "ending", "music")}
        used |= {("overlay", logo.overlay)} if logo else set()
        return [file for file in self._files if (file.role, file.name) in used]


def _headed(name: str) -> str:
    """Return the head of a column of DIFFERENCE, as `differenceSource`."""
    return f"difference{name[0].upper()}{name[1:]}"


def _padding(output: Output, nothing: bytes) -> str:
    """Return the spaces that make what is said of the nearest sibling as long as the longest.

    nothing: what is written where there is none.
    """
    found: Mapping[str, Any] = difference_json(output) or {}
    said = [found.get(name) for name in NEAREST]
    return " " * (NEAREST_ROOM - sum(len(_to_json(v) if v is not None else nothing) for v in said))


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; `'` makes it text."""
    if isinstance(value, bool):
        return str(value).lower()
    return FORMULA.sub(r"\1\2'", value) if isinstance(value, str) else value


def _source_entry(job: Job, file: File) -> dict[str, Any]:
    return {
        "role": file.role,
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "seed": seed_of(job, file),
        "status": file.status,
        "error": file.error and file.error[:MAX_ERROR_LENGTH],
        "contentCredentials": credentials_json(file),
        "outputs": [],
    }


def _asset(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("seed", "outputs")}


def _output_entry(output: Output, path: str) -> dict[str, Any]:
    return {
        "id": output.id,
        "index": output.number,
        "path": path,
        "size": output.size,
        "sha256": output.sha256,
        "parameters": json.loads(output.parameters),
        "axes": output.axes and json.loads(output.axes),
        "width": output.width,
        "height": output.height,
        "duration": output.duration,
        "loudness": output.loudness and json.loads(output.loudness),
        "placements": placements_of(output),
        "difference": difference_json(output),
        "madeWith": output.made_with,
    }


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace")
