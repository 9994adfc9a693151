"""Join the shots of one output, with one sound for the whole, and check what came out."""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.errors import Damaged
from jobserver.render.joins.check import Checked, check
from jobserver.render.joins.command import Mix, join_command
from jobserver.render.joins.gain import TOLERANCE, correction, estimate, first_gain
from jobserver.render.joins.model import Joined, JoinPart, Mixing
from jobserver.render.joins.pictures import PictureTrack, read_pictures
from jobserver.render.measure import Loudness
from jobserver.render.progress import Progress
from jobserver.render.settings import MIB, Settings
from jobserver.render.sound.files import RATE
from jobserver.render.sound.measure import limits

_CORRECTIONS = 3  # of the gain, at most; one suffices unless AAC adds other peaks each time


def join(
    parts: Sequence[JoinPart],
    out: Path,
    settings: Settings,
    mixing: Mixing,
    *,
    thumbnail: bool = False,
    on_progress: Callable[[float], None] = lambda share: None,
    cancel: threading.Event | None = None,
) -> Joined:
    """Write one output from shots of equal size and frame rate; return it once it is verified.

    thumbnail: write one beside it, with the suffix `.webp`. on_progress: called with the share of
    the work that is done. Nothing is left when this raises. Raises Damaged when something is
    missing in what came out, EngineError when shots do not fit together, the errors of
    ffmpeg.run, and OSError.
    """
    out = out.absolute()
    picture = out.with_suffix(".webp") if thumbnail else None
    list_path = out.with_suffix(".list")
    track = read_pictures(parts)
    joiner = _Joiner(
        track=track,
        out=out,
        picture=picture,
        list_path=list_path,
        settings=settings,
        on_progress=on_progress,
        cancel=cancel,
    )
    try:
        list_path.write_text(track.list_text())
        found = _with_loudness(joiner, parts, mixing)
    except BaseException:
        for path in filter(None, (out, picture)):
            path.unlink(missing_ok=True)
        raise
    finally:
        list_path.unlink(missing_ok=True)
    on_progress(1.0)
    return Joined(
        path=out,
        thumbnail=picture,
        frames=len(track.shown),
        seconds=track.seconds,
        lengths=[cut.ticks / track.timescale for cut in track.cuts],
        width=found.width,
        height=found.height,
        loudness=found.loudness,
    )


@dataclass(kw_only=True)
class _Joiner:
    """What all attempts at one output have in common."""

    track: PictureTrack
    out: Path
    picture: Path | None
    list_path: Path
    settings: Settings
    on_progress: Callable[[float], None]
    cancel: threading.Event | None

    def make(self, mix: Mix) -> Checked:
        """Write the output with this sound and check it."""
        shots = [cut.path for cut in self.track.cuts]
        size = sum(path.stat().st_size for path in shots)
        most = limits(self.track.seconds, self.settings)
        completed = ffmpeg.run(
            join_command(self.list_path, self.track, mix, self.out, settings=self.settings),
            dataclasses.replace(most, file_bytes=most.file_bytes + size + MIB),
            ffmpeg.Access([self.list_path, *shots, *mix.files], [self.out], self.settings.sandbox),
            Progress(self.track.seconds, self.on_progress).add_line,
            cancel=self.cancel,
        )
        if completed.status:
            raise Damaged(detail=completed.detail)
        return check(
            self.out,
            self.track,
            self.settings,
            sound=bool(mix.files),
            thumbnail=self.picture,
            cancel=self.cancel,
        )


def _with_loudness(joiner: _Joiner, parts: Sequence[JoinPart], mixing: Mixing) -> Checked:
    """Make the output, again where its loudness is not what was asked for."""
    voice = [part.sound for part in parts]
    lengths = [count / RATE for count in joiner.track.sounds]
    expected = estimate(list(zip(voice, lengths, strict=True)), mixing)
    mix = Mix(
        voice=[sound.path.absolute() if sound else None for sound in voice],
        music=mixing.music.path.absolute() if mixing.music else None,
        music_gain=expected.music_gain,
        gain=first_gain(expected, mixing.loudness),
    )
    found = joiner.make(mix)
    for _ in range(_CORRECTIONS):
        if not (off := correction(found.loudness, mixing.loudness)):
            break
        mix = dataclasses.replace(mix, gain=mix.gain + off)
        found = joiner.make(mix)
    return dataclasses.replace(found, loudness=_judged(found.loudness, mixing.loudness))


def _judged(found: Loudness | None, target: float | None) -> Loudness | None:
    """Return a loudness that says whether it had to stay below its target."""
    if found is None or target is None:
        return found
    return dataclasses.replace(found, limited=found.integrated < target - TOLERANCE)
