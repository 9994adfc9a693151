"""A brief and its plan as values: what shall vary, and the outputs that this makes.

Names are those of the JSON (docs/brief.md) in Python's spelling. Everything is frozen and
comparable, so that equal briefs have equal plans, and equal plans the same files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Format: TypeAlias = Literal["source", "9:16", "4:5", "1:1", "16:9"]
Fit: TypeAlias = Literal["blur", "pad", "crop"]
Position: TypeAlias = Literal["top", "middle", "bottom"]
Corner: TypeAlias = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
Length: TypeAlias = Literal["full"] | float  # seconds of the whole output
Combine: TypeAlias = Literal["all", "one-at-a-time", "pairs"] | int  # a number: of a sample
AxisValue: TypeAlias = str | float | bool | None  # as the JSON of an output's axes says it
Role: TypeAlias = Literal["video", "hook", "ending", "overlay", "music"]

# The form fields of an upload, which are the fields of Sources, and the role of their files.
ROLE_OF: dict[str, Role] = {
    "videos": "video",
    "hooks": "hook",
    "endings": "ending",
    "overlays": "overlay",
    "music": "music",
}


@dataclass(frozen=True)
class Headline:
    """Text over the hook and the main clip.

    start, end: seconds of the output, `from` and `to` in JSON; None: of its beginning, of the end
    of the main clip. color, background: `#rrggbb` or `#rrggbbaa`; no background: no plate.
    size: height of a line as a share of the frame's height.
    """

    text: str
    position: Position = "top"
    start: float | None = None
    end: float | None = None
    color: str = "#ffffff"
    background: str | None = "#000000b3"
    size: float = 0.05


@dataclass(frozen=True)
class Logo:
    """A picture over all parts. overlay: name of the file. width: share of the frame's width."""

    overlay: str
    corner: Corner = "top-right"
    width: float = 0.15
    opacity: float = 1.0


class Part(NamedTuple):
    """One uploaded file. duration: seconds, None before it is probed."""

    name: str
    duration: float | None = None


@dataclass(frozen=True)
class Sources:
    """The uploaded files of a job by role, each in the sequence of the upload."""

    videos: tuple[Part, ...] = ()
    hooks: tuple[Part, ...] = ()
    endings: tuple[Part, ...] = ()
    overlays: tuple[Part, ...] = ()
    music: tuple[Part, ...] = ()

    def of_role(self, role: Role) -> tuple[Part, ...]:
        """Return the files of one role."""
        (field,) = (field for field, its in ROLE_OF.items() if its == role)
        parts: tuple[Part, ...] = getattr(self, field)
        return parts

    def index(self, role: Role, name: str) -> int:
        """Return the place of a file within its role, from 0. Raises ValueError."""
        return [part.name for part in self.of_role(role)].index(name)


@dataclass(frozen=True)
class Exclusion:
    """Combinations that are not made: those that have all of these values.

    values: pairs of an axis (a field of Axes) and its value, in the sequence of AXES.
    """

    values: tuple[tuple[str, AxisValue], ...]


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What shall vary. Each axis is a non-empty tuple without repeats; one value: not varied.

    hooks, endings, music: names of files, None for "none". looks: how many of `recipe`, 0: the
    picture is left as it is. fps: None: that of most main clips. loudness: LUFS, None: see
    timeline. music_volume: dB against the voice. name: template, None: see names.
    """

    formats: tuple[Format, ...] = ("source",)
    hooks: tuple[str | None, ...] = (None,)
    endings: tuple[str | None, ...] = (None,)
    music: tuple[str | None, ...] = (None,)
    lengths: tuple[Length, ...] = ("full",)
    speeds: tuple[float, ...] = (1.0,)
    mirror: tuple[bool, ...] = (False,)
    headlines: tuple[Headline | None, ...] = (None,)
    looks: int = 0
    recipe: str = "subtle"
    fit: Fit = "blur"
    pad_color: str = "#000000"
    focus: tuple[float, float] = (0.5, 0.5)
    size: int = 1080
    still_seconds: float = 2.0
    fps: float | None = None
    logo: Logo | None = None
    loudness: float | None = None
    music_volume: float = -12.0
    combine: Combine = "all"
    exclude: tuple[Exclusion, ...] = ()
    name: str | None = None


class Axes(NamedTuple):
    """Which value of each axis an output has, as its JSON says it; None where there is none.

    length: `"full"` or seconds. headline: its text. look: 1 for the first of the recipe.
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


AXES = Axes._fields


class PlannedOutput(NamedTuple):
    """One output. video: place of the main clip, from 0. number: 1.. within it.

    name: stem of its file, safe on every file system and unlike all others of the job.
    headline: the one whose text the axes have.
    """

    video: int
    number: int
    name: str
    axes: Axes
    headline: Headline | None = None


@dataclass(frozen=True)
class Plan:
    """Every output of a job, by main clip and number. shots: pictures that are encoded for them.

    Before the files are probed `shots` takes all main clips to be alike in size and frame rate.
    """

    outputs: tuple[PlannedOutput, ...]
    shots: int

    @property
    def total(self) -> int:
        """The outputs of the job."""
        return len(self.outputs)

    @property
    def variations_per_video(self) -> int:
        """The outputs of the main clip that has most."""
        counts = [0] * (1 + max((output.video for output in self.outputs), default=-1))
        for output in self.outputs:
            counts[output.video] += 1
        return max(counts, default=0)

    def of_video(self, video: int) -> Iterator[PlannedOutput]:
        """Yield the outputs of one main clip by number. video: its place, from 0."""
        return (output for output in self.outputs if output.video == video)
