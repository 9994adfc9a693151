"""Read finished outputs as a player does: all that is published has passed here.

One process decodes some outputs whole, by itself, after they were encoded, and lists their packets
as probing does. What it found is compared with the source in verify.py.

Source: https://ffmpeg.org/ffmpeg-filters.html#ebur128-1
"""

import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.boxes import read_index
from jobserver.render.demux import Demuxed, PacketReport, demuxed
from jobserver.render.errors import Damaged
from jobserver.render.measure.command import LOUDNESS, Finished, decode_command
from jobserver.render.measure.fingerprint import Fingerprint
from jobserver.render.measure.model import Loudness, Measured
from jobserver.render.media import Media
from jobserver.render.probe import check_declared, media_of
from jobserver.render.settings import MIB, Settings

_WALL_S = 60.0
_MIN_DECODE_SPEED = 2.0  # times as fast as `pixels_per_s` of encoding
_MIN_READ_RATE = 20e6  # bytes per second of the slowest supported disk
_GREY_BYTES = 64 * MIB
SILENCE = -70.0  # LUFS that ffmpeg says of what has none
_SUMMARY = re.compile(
    rf"^\[{LOUDNESS}@(\d+) @ \w+\] Summary:$"
    r".*?^ +I: +(-?[\d.]+|-inf) LUFS$.*?^ +Peak: +(-?[\d.]+|-inf) dBFS$",
    re.M | re.S,
)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What an output is. frames: that were decoded. sounds: decoded seconds of each track.

    loudness: of its first sound, also of silence; None without sound.
    """

    media: Media
    frames: int
    sounds: Sequence[float]
    fingerprint: Fingerprint
    loudness: Loudness | None

    @property
    def measured(self) -> Measured:
        """What is kept of it."""
        heard = self.loudness if self.loudness and self.loudness.integrated > SILENCE else None
        return Measured(hashes=self.fingerprint.hashes, loudness=heard)

    def same_sound_as(self, other: "Decoded") -> bool:
        """Return whether all packets of sound are the same to the byte."""
        mine, its = self.media.sounds, other.media.sounds
        return [(each.checksum, each.bytes, each.total) for each in mine] == [
            (each.checksum, each.bytes, each.total) for each in its
        ]


def decode(
    paths: Sequence[Path],
    settings: Settings,
    cancel: threading.Event | None = None,
    *,
    sounds: int,
    pixels: float,
) -> list[Decoded]:
    """Return what each of several outputs is, once all of it was decoded.

    sounds: how many tracks each should have. They are decoded of the first output, and of those
    whose sound is not the same to the byte. pixels: of all frames of all outputs. Raises what
    `probe` raises, for the first file with a fault, or Damaged: ffmpeg's failure is that of all;
    the errors of ffmpeg.run, and OSError.
    """
    paths = [path.absolute() for path in paths]
    outputs = [Finished(path, sounds * (not n), _grey_of(path)) for n, path in enumerate(paths)]
    found = _decode(outputs, settings, cancel, pixels=pixels)
    first = found[0]
    others = [n for n, made in enumerate(found) if not made.same_sound_as(first)]
    found = [replace(made, sounds=first.sounds, loudness=first.loudness) for made in found]
    if others:
        again = [replace(outputs[n], sounds=sounds) for n in others]
        for n, made in zip(others, _decode(again, settings, cancel, pixels=pixels), strict=True):
            found[n] = made
    return found


def _decode(
    outputs: Sequence[Finished],
    settings: Settings,
    cancel: threading.Event | None,
    *,
    pixels: float,
) -> list[Decoded]:
    indexes = [read_index(output.path) for output in outputs]
    for index in indexes:
        check_declared(index, settings)
    greys = [output.grey for output in outputs]
    report = PacketReport()
    with ExitStack() as stack:
        for grey in greys:
            stack.callback(grey.unlink, missing_ok=True)
        completed = ffmpeg.run(
            decode_command(outputs, settings),
            _limits(outputs, settings, pixels),
            ffmpeg.Access([output.path for output in outputs], greys, settings.sandbox),
            report.add_line,
            cancel=cancel,
        )
        if completed.status:
            raise Damaged(detail=completed.detail)
        fingerprints = [Fingerprint.of_frames(grey.read_bytes()) for grey in greys]
    loudness = _loudness(completed.log)
    listed = _listed(outputs, report, completed)
    heard = len(outputs)  # the number of the next sound
    found: list[Decoded] = []
    for n, (output, index) in enumerate(zip(outputs, indexes, strict=True)):
        streams = range(heard, heard := heard + output.sounds)
        found.append(
            Decoded(
                media=media_of(output.path, index, listed[n], settings),
                frames=report.streams[n].count,
                sounds=[report.streams[stream].total for stream in streams],
                fingerprint=fingerprints[n],
                loudness=loudness.get(n),
            )
        )
    return found


def _listed(
    outputs: Sequence[Finished], report: PacketReport, completed: ffmpeg.Completed
) -> list[Demuxed]:
    """Return the packets of each file, which are listed behind all that was decoded."""
    first = len(outputs) + sum(output.sounds for output in outputs)
    found: list[Demuxed] = []
    for n in range(len(outputs)):
        found.append(demuxed(report, completed, source=2 * n + 1, first=first))
        first += 2 + len(found[-1].audio)
    return found


def _limits(outputs: Sequence[Finished], settings: Settings, pixels: float) -> ffmpeg.Limits:
    size = sum(output.path.stat().st_size for output in outputs)
    decode_s = pixels / settings.pixels_per_s / _MIN_DECODE_SPEED
    return ffmpeg.Limits(
        wall_s=_WALL_S + size / _MIN_READ_RATE + decode_s,
        stall_s=settings.stall_s,
        memory=settings.memory,
        file_bytes=_GREY_BYTES,
    )


def _grey_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.grey")


def _loudness(log: str) -> dict[int, Loudness]:
    """Return what ebur128 printed at its end, by the number of the output."""
    return {
        int(number): Loudness(float(integrated), float(peak))
        for number, integrated, peak in _SUMMARY.findall(log)
    }
