"""The shapes of JSON answers: what mypy checks the builders of answers against, and OpenAPI shows.

Times are ISO 8601 UTC with `Z`, sizes bytes, durations seconds, progress whole percent. Docstrings
are descriptions in OpenAPI. More keys may follow.
"""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from jobserver.brief.model import Format, Length
from jobserver.jobs.model import ENDED, UNFINISHED
from jobserver.jobs.workers import WaitsFor
from jobserver.render.measure import Label

_TIME = {"type": "string", "format": "date-time"}
Time: TypeAlias = Annotated[str, WithJsonSchema(_TIME)]
# Never null, although timestamp() returns None for None.
KnownTime: TypeAlias = Annotated[str | None, WithJsonSchema(_TIME)]
Digest: TypeAlias = Annotated[str, Field(description="SHA-256, hexadecimal")]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
State: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": [*UNFINISHED, *ENDED]})]
AssetRole: TypeAlias = Literal["hook", "ending", "overlay", "music"]
# The name of a recipe, or an object with ranges of its own.
Recipe: TypeAlias = Annotated[str | dict[str, Any], WithJsonSchema({"type": ["string", "object"]})]
# Encoded already when it is put into an answer; openapi/document.py knows the schemas.
BriefJson: TypeAlias = Annotated[
    Any, WithJsonSchema({"anyOf": [{"x-schema": "Brief"}, {"type": "null"}]})
]
Looks: TypeAlias = Annotated[Any, WithJsonSchema({"type": ["integer", "null"]})]
Parameters: TypeAlias = Annotated[Any, WithJsonSchema({"type": "object"})]


class Error(TypedDict):
    """Every error. error: a sentence for people. code: for programs; it never changes."""

    error: str
    code: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    path: NotRequired[Annotated[str, Field(description="of `invalid_brief`: the key at fault")]]


class Reason(TypedDict):
    """Why something waits: a code for programs, a sentence for people."""

    code: WaitsFor
    message: str


class AcceptedFile(TypedDict):
    """A video that was received."""

    id: str
    name: str
    size: int


class AcceptedAsset(TypedDict):
    """A file beside the videos that was received."""

    id: str
    role: AssetRole
    name: str
    size: int
    status: State
    error: None


class AcceptedJob(TypedDict):
    """A job that was queued: from now on it ends, whatever happens.

    variationsPerVideo: outputs of the video with most. ignoredFields: names of form fields that
    mean nothing.
    """

    jobId: str
    status: Literal["queued"]
    files: list[AcceptedFile]
    variationsPerVideo: int
    totalVariations: int
    recipe: Recipe
    seed: int
    statusUrl: str
    ignoredFields: list[str]
    title: str | None
    assets: list[AcceptedAsset]


class EndedOtherwise(TypedDict):
    """Videos that ended without all their variations."""

    failedVideos: int
    cancelledVideos: int


class SummaryFile(TypedDict):
    """A video of a job in the list. thumbnailUrl: signed, needs no token."""

    name: str
    status: State
    completedVariations: int
    thumbnailUrl: str | None


class JobSummary(EndedOtherwise):
    """A job in the list. waitsFor: what it waits for beside its turn.

    downloadUrl: of the ZIP, signed, needs no token; null before there is an output.
    """

    id: str
    status: State
    totalVideos: int
    totalVariations: int
    createdAt: KnownTime
    expiresAt: KnownTime
    progress: Percent
    waitsFor: Reason | None
    files: list[SummaryFile]
    jobId: str
    completedVariations: int
    title: str | None
    downloadUrl: str | None


class CancelledJob(TypedDict):
    """A job that was cancelled. completedVariations: outputs that stay."""

    jobId: str
    status: Literal["cancelled"]
    completedVariations: int
    totalVariations: int
    cancelledAt: KnownTime


class DeletedJob(TypedDict):
    """A job that is gone."""

    jobId: str
    status: Literal["deleted"]


class OutputAxes(TypedDict):
    """Which value of each axis an output has; null where there is none.

    length: `full` or seconds. headline: its text. look: 1 for the first of the recipe.
    """

    video: str
    hook: str | None
    ending: str | None
    format: Format
    length: Length
    speed: float
    mirror: bool
    headline: str | None
    music: str | None
    look: int | None


class Loudness(TypedDict):
    """Measured by EBU R 128: LUFS, dBTP. limited: true peaks kept it below what was asked for."""

    integrated: float | None
    truePeak: float | None
    limited: NotRequired[bool]


class Difference(TypedDict):
    """Bits of 64, mean over time: to the source, in the first 3 s, to the nearest sibling.

    Null where there is nothing to compare with. label, nearestLabel: what the bits mean.
    """

    source: float | None
    opening: float | None
    nearest: float | None
    nearestOutput: str | None
    label: Label | None
    nearestLabel: Label | None


class JobOutput(TypedDict):
    """An output that is complete. url, thumbnailUrl: signed, need no token.

    parameters: of its look, by name. axes, width, height, duration, loudness: null without a brief.
    placements: why it does not fit each, by name; none: it fits.
    """

    id: str
    index: int
    name: str
    size: int
    sha256: Digest
    parameters: Parameters
    url: str
    thumbnailUrl: str | None
    downloadName: str
    axes: OutputAxes | None
    width: int | None
    height: int | None
    duration: float | None
    loudness: Loudness | None
    placements: dict[str, list[str]] | None
    difference: Difference | None


class ContentCredentials(TypedDict):
    """Content Credentials (C2PA) that a file carries; they are not verified.

    claimGenerator: the software that made them. aiMade: whether they mark it as made, or composed,
    with generative AI. sentence: for people.
    """

    claimGenerator: str | None
    aiMade: bool
    sentence: str


class FailedOutput(TypedDict):
    """An output that cannot be made. reason: a sentence."""

    name: str
    axes: OutputAxes
    reason: str


class JobFile(TypedDict):
    """A video of a job. duration, width, height, sha256, url: null before it was looked at.

    outputs, failedOutputs: unless they were left out by `outputs=false`.
    """

    id: str
    name: str
    size: int
    status: State
    progress: Percent
    error: str | None
    completedVariations: int
    totalVariations: int
    duration: float | None
    width: int | None
    height: int | None
    sha256: Digest | None
    seed: int
    url: str | None
    thumbnailUrl: str | None
    failedVariations: int
    contentCredentials: ContentCredentials | None
    outputs: NotRequired[list[JobOutput]]
    failedOutputs: NotRequired[list[FailedOutput]]


class JobAsset(TypedDict):
    """A file beside the videos; see JobFile."""

    id: str
    role: AssetRole
    name: str
    size: int
    status: State
    progress: Percent
    error: str | None
    duration: float | None
    width: int | None
    height: int | None
    sha256: Digest | None
    url: str | None
    thumbnailUrl: str | None
    contentCredentials: ContentCredentials | None


class Job(EndedOtherwise):
    """All of a job. variations: as asked for; looks of the recipe beside a brief.

    queuePosition: 1 for the next. downloadUrl: of the ZIP, signed, needs no token.
    """

    jobId: str
    status: State
    progress: Percent
    totalVideos: int
    variationsPerVideo: int
    totalVariations: int
    recipe: Recipe
    seed: int
    downloadUrl: str | None
    files: list[JobFile]
    createdAt: KnownTime
    startedAt: Time | None
    finishedAt: Time | None
    expiresAt: KnownTime
    queuePosition: int | None
    etaSeconds: int | None
    waitsFor: Reason | None
    error: str | None
    id: str
    completedVariations: int
    cancelledAt: Time | None
    title: str | None
    brief: BriefJson
    variations: Looks
    assets: list[JobAsset]


class PlannedOutput(TypedDict):
    """An output that the upload would make. video: name of its main clip.

    duration: seconds, null where it cannot be made, for `reason`; both only with durations given.
    """

    video: str
    name: str
    axes: OutputAxes
    duration: NotRequired[float | None]
    reason: NotRequired[str | None]


class Estimates(TypedDict, total=False):
    """What a plan would take; only where the durations of all parts were given."""

    estimatedSeconds: int
    estimatedBytes: int


class Plan(Estimates):
    """What the upload of these files with this brief would make. shots: parts that are encoded."""

    variationsPerVideo: int
    totalVariations: int
    shots: int
    outputs: list[PlannedOutput]
