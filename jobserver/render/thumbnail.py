"""One picture that stands for a video."""

import threading
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.command import thumbnail_command
from jobserver.render.errors import Damaged
from jobserver.render.settings import MIB, Settings

_WALL_S = 60.0
_MEMORY = 1024 * MIB


def thumbnail(
    path: Path, out: Path, settings: Settings, cancel: threading.Event | None = None
) -> None:
    """Write a WebP, 320 pixels wide, of the first frame that is not dark, else of the first.

    Raises Damaged when no frame can be decoded, and whatever ffmpeg.run raises.
    """
    for lightness in (32, -1):
        ending = ffmpeg.run(
            thumbnail_command(path.absolute(), out.absolute(), lightness, settings),
            ffmpeg.Limits(_WALL_S, settings.stall_s, _MEMORY, file_bytes=4 * MIB),
            ffmpeg.Access([path.absolute()], [out.absolute()], settings.sandbox),
            lambda _line: True,
            cancel,
        )
        if ending.status == 0 and out.stat().st_size:
            return
    raise Damaged(detail=ending.last_words)
