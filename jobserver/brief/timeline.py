"""What every output consists of, once its sources are probed: shots, in the sequence they play.

A shot is one part in one appearance. Outputs share it wherever all that decides its bytes is the
same, so a job encodes as many shots as it has different ones, not as many as its outputs have.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from jobserver.brief.model import Fit, Format, Headline, Logo, PlannedOutput, Role

Source: TypeAlias = tuple[Role, int]  # the place within a role, in the sequence of the upload
LookParameters: TypeAlias = Mapping[str, float]  # name -> number, as in render/recipe.py


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """What probing a source found.

    duration: seconds; of a still 0. width, height: pixels as displayed; of music 0. fps: of its
    picture; None: of a still, of music, or where frames have no steady rate.
    """

    duration: float
    width: int = 0
    height: int = 0
    fps: Fraction | None = None
    has_sound: bool = False
    still: bool = False


Facts: TypeAlias = Mapping[Source, PartFacts]


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """All that decides the bytes of a picture shot beside its source.

    width, height: even pixels of the frame. fps: None: the source's own times. look: parameters
    of the recipe, sorted by name; None: the picture is left as it is. headline: its start and end
    are seconds of the shot. seconds: how long the shot is, None: all of the source at its speed.
    keyframes: seconds of the shot, forced, where an output may end.
    """

    width: int
    height: int
    format: Format
    fit: Fit
    pad_color: str
    focus: tuple[float, float]
    fps: Fraction | None
    speed: float = 1.0
    mirror: bool = False
    look: tuple[tuple[str, float], ...] | None = None
    headline: Headline | None = None
    logo: Logo | None = None
    seconds: float | None = None
    keyframes: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SoundShape:
    """A part's sound at a speed, pitch kept. seconds: how long; None: as long as the picture."""

    speed: float = 1.0
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One part in one appearance: exactly one of `picture` and `sound` is set.

    source: the place of the file within its role, from 0.
    """

    role: Role
    source: int
    picture: Appearance | None = None
    sound: SoundShape | None = None

    @cached_property
    def key(self) -> str:
        """SHA-256 in hex of all that decides its bytes; equal shots have equal keys."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A shot as it is joined: all of it, or its beginning.

    sound: None: silence. seconds: how long it plays, as planned. cut: whether the shot goes on
    there, at one of its keyframes.
    """

    picture: Shot
    sound: Shot | None
    seconds: float
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One output: its segments as they play, and what is done to their sound.

    music: place among the sources of that role. fps: None: of its only part, whose own it keeps.
    loudness: LUFS, None: as it is. music_volume: dB against the voice.
    """

    output: PlannedOutput
    segments: tuple[Segment, ...]
    fps: Fraction | None
    music: int | None = None
    loudness: float | None = None
    music_volume: float = -12.0

    @property
    def seconds(self) -> float:
        """How long the output is."""
        return sum(segment.seconds for segment in self.segments)


@dataclass(frozen=True, kw_only=True)
class Unmakeable:
    """An output that cannot be made. reason: one sentence for its client."""

    output: PlannedOutput
    reason: str
