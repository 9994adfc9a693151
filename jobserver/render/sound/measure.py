"""Run the ffmpeg that writes sounds, and measure what it wrote by another.

Measuring decodes all of a file, so what passes is known to be whole.
Source: https://ffmpeg.org/ffmpeg-filters.html#ebur128-1
"""

import re
import threading
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.errors import DamagedSound
from jobserver.render.settings import MIB, Settings
from jobserver.render.sound.command import MEASURED, measure_command
from jobserver.render.sound.files import RATE, SoundFile, stored_samples

_WALL_S = 60.0
_MIN_SPEED = 20.0  # how many seconds of sound one second suffices for, at least
_MEMORY = 1024 * MIB
_BYTES_A_SAMPLE = 8  # of FLAC that cannot be compressed, with room to spare
_UNFILLED = 3  # blocks at the start that have less than 400 ms behind them
SILENCE = -99.0  # LUFS that stand for less
PEAK = re.compile(r"^ +Peak: +(-?[\d.]+|-inf) dBFS$", re.M)


def limits(seconds: float, settings: Settings) -> ffmpeg.Limits:
    """Return the limits of a process that reads or writes so many seconds of sound in all."""
    return ffmpeg.Limits(
        wall_s=_WALL_S + seconds / _MIN_SPEED,
        stall_s=settings.stall_s,
        memory=_MEMORY,
        file_bytes=MIB + int(seconds * RATE * _BYTES_A_SAMPLE),
    )


def measure(path: Path, settings: Settings, cancel: threading.Event | None = None) -> SoundFile:
    """Decode a sound that was written, and return what it holds.

    Raises DamagedSound when it cannot be decoded, and the errors of ffmpeg.run.
    """
    blocks: list[float] = []

    def keep(line: bytes) -> bool:
        if line.startswith(MEASURED):
            blocks.append(max(SILENCE, round(float(line[len(MEASURED) :]), 1)))
        return True

    seconds = stored_samples(path) / RATE
    completed = ffmpeg.run(
        measure_command(path, settings),
        limits(seconds, settings),
        ffmpeg.Access([path], sandbox=settings.sandbox),
        keep,
        cancel=cancel,
    )
    if completed.status or not (peak := PEAK.search(completed.log)):
        raise DamagedSound(detail=completed.detail)
    return SoundFile(path, seconds, tuple(blocks[_UNFILLED:]), float(peak[1]))
