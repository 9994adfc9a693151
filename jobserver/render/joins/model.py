"""What a join takes and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render.measure import Loudness
from jobserver.render.sound.files import SoundFile


@dataclass(frozen=True, kw_only=True)
class JoinPart:
    """One part of an output.

    picture: a picture shot. sound: a sound that begins with it; None: silence. seconds: how much
    of both is taken, up to a keyframe of the shot; None: all of it.
    """

    picture: Path
    sound: SoundFile | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How the sound of an output is made.

    loudness: LUFS that it shall have; None: as it is, but never beyond full scale. music: laid
    under the whole, repeated or faded out where the picture ends. music_volume: dB of its
    loudness to that of the parts, usually below 0.
    """

    loudness: float | None = None
    music: SoundFile | None = None
    music_volume: float = -12.0


@dataclass(frozen=True, kw_only=True)
class Joined:
    """One verified output. thumbnail: a WebP, if one was asked for and ffmpeg can write it.

    seconds: of the picture, to the end of its last frame. lengths: those of each part. width,
    height: pixels. loudness: None when it has no sound, or nothing but silence.
    """

    path: Path
    thumbnail: Path | None
    frames: int
    seconds: float
    lengths: Sequence[float]
    width: int
    height: int
    loudness: Loudness | None

    def remove(self) -> None:
        """Delete its files."""
        for path in filter(None, (self.path, self.thumbnail)):
            path.unlink(missing_ok=True)
