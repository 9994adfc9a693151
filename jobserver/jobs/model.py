"""What a job is, as typed rows. Times are Unix seconds in UTC, sizes bytes, sides pixels.

The fields of a row are the columns that a query names, in this sequence.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

# What a file of a job is for; the API's `files` are its videos, `assets` all others.
Role: TypeAlias = Literal["video", "hook", "ending", "overlay", "music"]
MAX_ATTEMPTS = 3
UNFINISHED = ("queued", "processing")
ENDED = ("completed", "failed", "cancelled")
WEBHOOK_EVENTS = ("job.completed", "job.failed", "job.cancelled", "output.ready")


class JobOptions(NamedTuple):
    """What is asked for of every video of a job.

    variations: of each, 1 to 20; with a brief the most outputs that it plans of one video.
    """

    variations: int
    recipe: str
    seed: int


class NewFile(NamedTuple):
    """A whole, durable upload that is about to belong to a job.

    name: as the client sent it. stored_name: its file in UPLOAD_DIR. planned: how many outputs
    the brief plans of it, 0 of an asset; None without a brief: options.variations.
    """

    id: str
    name: str
    stored_name: str
    size: int
    role: Role = "video"
    planned: int | None = None


class Webhook(NamedTuple):
    """Where events of a job are posted, and which: of WEBHOOK_EVENTS."""

    url: str
    events: tuple[str, ...]


class JobDraft(NamedTuple):
    """A job that is about to be queued.

    files: its videos, then what else was sent, each in the sequence of the upload: a place among
    them decides a seed. title: as the client sent it. brief: canonical JSON. total_outputs:
    that the brief plans. key_id: of the key that asks for it, None for a session.
    """

    id: str
    files: list[NewFile]
    options: JobOptions
    title: str | None = None
    brief: str | None = None
    total_outputs: int | None = None
    key_id: str | None = None
    webhook: Webhook | None = None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def videos(self) -> list[NewFile]:
        """Its main clips."""
        return [file for file in self.files if file.role == "video"]

    @property
    def assets(self) -> list[NewFile]:
        """Its hooks, endings, overlays and music."""
        return [file for file in self.files if file.role != "video"]

    @property
    def total_variations(self) -> int:
        """Outputs of all its videos."""
        if self.total_outputs is not None:
            return self.total_outputs
        return len(self.videos) * self.options.variations


class Job(NamedTuple):
    """A job. status: as its files say. removed_at: None until its files are being deleted.

    total_outputs: that its brief plans, None without one. title: as the client sent it.
    """

    id: str
    title: str | None
    recipe: str
    seed: int
    variations_per_video: int
    total_outputs: int | None
    created_at: float
    removed_at: float | None
    total_videos: int
    status: str

    @property
    def ended(self) -> bool:
        """Whether nothing of it waits or runs."""
        return self.status in ENDED

    @property
    def total_variations(self) -> int:
        """Outputs of all its files, once they are rendered."""
        if self.total_outputs is not None:
            return self.total_outputs
        return self.total_videos * self.variations_per_video


class File(NamedTuple):
    """One source of a job.

    position: in the sequence of the upload: of a video from 0, of an asset below, since assets
    are worked on first. progress: 0 to 1. error: a sentence for people. duration: seconds.
    width, height: as displayed. sha256, duration, width, height: None until a worker has probed
    it. thumbnail: the name of its picture, or None. own_seed: see seeds.seed_of.
    thumbnail_place: its key, see keys.placed_key. planned: as of NewFile. weight: of its progress
    in that of its job, planned seconds; None without a brief: all weigh the same. credentials:
    JSON of what its Content Credentials claim, None where it carries none.
    """

    id: str
    job_id: str
    position: int
    name: str
    stored_name: str
    size: int
    status: str
    progress: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    duration: float | None
    width: int | None
    height: int | None
    sha256: str | None
    thumbnail: str | None
    own_seed: int | None
    thumbnail_place: str | None = None
    role: Role = "video"
    planned: int | None = None
    weight: float | None = None
    credentials: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more of it will be rendered."""
        return self.status in ENDED


class Output(NamedTuple):
    """One published variation.

    number: from 1. name: of its file. parameters: a JSON object. seconds: that rendering it
    took. made_with: server, ffmpeg, encoder. place, thumbnail_place: keys, see keys.placed_key.
    axes: of a brief, else None, a JSON object. width and height; duration, seconds; loudness, a
    JSON object, or None of silence. source_bits, opening_bits: how far it is from its source, as
    a whole and in its first 3 s. nearest_bits: how far from nearest_output, the nearest other
    output of its file. None where nothing was measured.
    """

    id: str
    file_id: str
    number: int
    name: str
    size: int
    sha256: str
    crc32: int
    parameters: str
    seconds: float
    thumbnail: str | None
    made_with: str
    created_at: float
    place: str | None = None
    thumbnail_place: str | None = None
    axes: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    loudness: str | None = None
    source_bits: float | None = None
    opening_bits: float | None = None
    nearest_bits: float | None = None
    nearest_output: str | None = None


class FailedOutput(NamedTuple):
    """One planned output that cannot be made. axes: a JSON object. reason: a sentence."""

    file_id: str
    number: int
    name: str
    axes: str
    reason: str


class Claim(NamedTuple):
    """A file that a worker holds, as it was when it was claimed.

    claim_token: fencing; every later write about the file names it and changes nothing once
    somebody else holds the file. attempts: claims since the last success, this one included.
    own_seed: see seeds.seed_of. planned: as of NewFile, so None without a brief. stage: 0 probe,
    1 shots, 2 joins; without a brief always 0.
    """

    id: str
    job_id: str
    claim_token: int
    attempts: int
    progress: float
    name: str
    stored_name: str
    size: int
    sha256: str | None
    own_seed: int | None = None
    role: Role = "video"
    planned: int | None = None
    stage: int = 0

    @property
    def label(self) -> str:
        """What log lines call it: no name of a client's, which may hold anything."""
        return f"job {self.job_id} file {self.id}"

    @property
    def fields(self) -> dict[str, object]:
        """What JSON lines of a log say of it; see logs.FIELDS."""
        return {"job": self.job_id, "file": self.id}


class SourceFacts(NamedTuple):
    """What a worker found out about a source; see File.

    duration: None of a still. width, height: None of music. facts: of a file of a brief, JSON that
    its later claims read; None without one. credentials: as of File.
    """

    duration: float | None
    width: int | None
    height: int | None
    sha256: str
    thumbnail: str | None
    thumbnail_place: str | None = None
    facts: str | None = None
    credentials: str | None = None


class QueueEstimate(NamedTuple):
    """What a job waits for.

    jobs_ahead: older ones that have not ended. variations_ahead: of theirs, still to render.
    seconds_per_variation: what the latest outputs took on average; None before the first ever.
    """

    jobs_ahead: int
    variations_ahead: float
    seconds_per_variation: float | None


class JobState(NamedTuple):
    """A job with its files; estimate: None once it has ended.

    files: its videos. assets: what else was sent. Each in the sequence of the upload.
    """

    job: Job
    files: list[File]
    estimate: QueueEstimate | None
    assets: Sequence[File] = ()


def status_of(videos: Sequence[str], assets: Sequence[str] = ()) -> str:
    """Return the status of a job by those of its files, as the view job_summary has it.

    It has ended when nothing of it waits or runs; how it ended, its videos say.
    """
    found, every = set(videos), {*videos, *assets}
    if every == {"queued"}:
        return "queued"
    if every & set(UNFINISHED):
        return "processing"
    if "completed" in found:
        return "completed"
    return "failed" if found == {"failed"} else "cancelled"


class FileSummary(NamedTuple):
    """A file as the list of jobs shows it; completed_variations: how many outputs it has."""

    id: str
    job_id: str
    name: str
    status: str
    progress: float
    finished_at: float | None
    thumbnail: str | None
    completed_variations: int
    role: Role = "video"
    weight: float | None = None


class OutputHistory(NamedTuple):
    """How the outputs of a job came to be those that there are.

    appeared, removed: how often one was published, or its row deleted because its file was gone.
    changed_since: whether a file or the job changed after the last publication.
    """

    appeared: int
    removed: int
    changed_since: bool


def expires_at(created_at: float, finished_at: float | None, lifetime_s: float) -> float:
    """Return when a job expires: `lifetime_s` after it was created or, if later, has ended.

    finished_at: when its last file ended; None while nothing has. A job that has not ended
    does not expire, however old it is.
    """
    return max(created_at, finished_at or 0.0) + lifetime_s
