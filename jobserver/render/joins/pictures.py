"""What is taken of each shot, and the list from which ffmpeg's concat demuxer joins them.

Source: https://ffmpeg.org/ffmpeg-formats.html#concat-1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from jobserver.render.errors import EngineError
from jobserver.render.joins.model import JoinPart
from jobserver.render.joins.samples import Frames, read_frames
from jobserver.render.sound.files import RATE

_MICRO = 1_000_000  # the list's times are whole numbers of these


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The beginning of a shot.

    shown: when each of its frames is shown, sorted, ticks from the first one. checksums: of its
    frames, in the sequence of decoding. ticks: how long it is. outpoint: seconds of decoding from
    which on nothing is taken; None: all is. delay: ticks from decoding to showing its first frame.
    """

    path: Path
    shown: Sequence[int]
    checksums: Sequence[int]
    ticks: int
    outpoint: float | None
    delay: int


@dataclass(frozen=True, kw_only=True)
class PictureTrack:
    """The picture of an output: cuts, one behind the other.

    timescale: ticks a second. alike: whether all shots have the same decoder configuration.
    """

    cuts: Sequence[Cut]
    timescale: int
    alike: bool

    @property
    def starts(self) -> list[int]:
        """When each cut begins, and when the last one ends: ticks."""
        return list(accumulate((cut.ticks for cut in self.cuts), initial=0))

    @property
    def decoded_joints(self) -> list[int]:
        """When those joints are whose frames must be decoded to know that they play: ticks.

        None where all shots have the same decoder configuration: frames that are byte for byte
        those of a verified shot, from a keyframe on, decode as they did there.
        """
        return [] if self.alike else self.starts[1:-1]

    @property
    def seconds(self) -> float:
        return self.starts[-1] / self.timescale

    @property
    def shown(self) -> list[int]:
        """When each frame of the output is shown, in ticks."""
        pairs = zip(self.starts, self.cuts, strict=False)
        return [start + at for start, cut in pairs for at in cut.shown]

    @property
    def checksums(self) -> list[int]:
        """Return those of all frames of the output, in the sequence of decoding."""
        return [checksum for cut in self.cuts for checksum in cut.checksums]

    @property
    def sounds(self) -> list[int]:
        """How many samples of sound belong to each cut; all together as long as the picture."""
        ends = [round(tick * RATE / self.timescale) for tick in self.starts]
        return [end - start for start, end in pairwise(ends)]

    def list_text(self) -> str:
        """Return the list for the concat demuxer. It says how long each cut is, to the tick."""
        ends = [round(tick * _MICRO / self.timescale) for tick in self.starts]
        lines = ["ffconcat version 1.0"]
        for cut, (start, end) in zip(self.cuts, pairwise(ends), strict=True):
            lines += [f"file {_quoted(cut.path)}", f"duration {(end - start) / _MICRO:.6f}"]
            if cut.outpoint is not None:
                lines.append(f"outpoint {cut.outpoint:.6f}")
        return "\n".join([*lines, ""])


def read_pictures(parts: Sequence[JoinPart]) -> PictureTrack:
    """Return what an output takes of its parts' shots.

    Raises Damaged for a file that is no shot, EngineError for shots that cannot be joined, or not
    be cut where they should, and OSError.
    """
    found = [read_frames(part.picture) for part in parts]
    if len({frames.timescale for frames in found}) > 1:
        raise EngineError("The parts of this output do not fit together.", "timescales differ")
    return PictureTrack(
        cuts=[_cut(part, frames) for part, frames in zip(parts, found, strict=True)],
        timescale=found[0].timescale,
        alike=len({frames.configuration for frames in found}) == 1,
    )


def _cut(part: JoinPart, frames: Frames) -> Cut:
    """Return the first `part.seconds` of a shot, whose next frame must be a keyframe.

    All that is decoded before a keyframe is shown before it: groups of pictures are closed.
    """
    path = part.picture.absolute()
    delay = -frames.decoded[0]
    end = frames.end if part.seconds is None else round(part.seconds * frames.timescale)
    if end + min(frames.durations) > frames.end:
        return Cut(
            path=path,
            shown=sorted(frames.shown),
            checksums=frames.checksums,
            ticks=frames.end,
            outpoint=None,
            delay=delay,
        )
    key = min(frames.keys, key=lambda place: abs(frames.shown[place] - end))
    if not key or abs(frames.shown[key] - end) > max(frames.durations):
        raise EngineError(
            "A part of this output could not be cut.",
            f"no keyframe at {part.seconds} s of {path.name}",
        )
    before = frames.decoded[key - 1] + frames.durations[key - 1] / 2
    return Cut(
        path=path,
        shown=sorted(frames.shown[:key]),
        checksums=frames.checksums[:key],
        ticks=frames.shown[key],
        outpoint=before / frames.timescale,
        delay=delay,
    )


def _quoted(path: Path) -> str:
    """Return a path as the list takes it. Source: https://ffmpeg.org/ffmpeg-utils.html#Quoting"""
    return "'" + str(path).replace("'", r"'\''") + "'"
