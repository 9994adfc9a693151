"""Extract one frame of a video as a thumbnail."""

import threading
from pathlib import Path

from jobserver.render import ffmpeg
from jobserver.render.command import DARK, thumbnail_command
from jobserver.render.errors import Damaged
from jobserver.render.media import Media
from jobserver.render.settings import MIB, Settings

_WALL_S = 60.0
_MEMORY = 1024 * MIB
_ANY = -1  # below every luma: the first frame


def thumbnail(
    path: Path,
    out: Path,
    settings: Settings,
    cancel: threading.Event | None = None,
    *,
    media: Media | None = None,
) -> None:
    """Write the first frame that is not dark as WebP, 320 pixels wide; else the first frame.

    media: what a source contains; an output, which is always MP4 in SDR, needs none.
    Raises Damaged when no frame can be decoded, and the errors of ffmpeg.run.
    """
    path, out = path.absolute(), out.absolute()
    limits = ffmpeg.Limits(
        wall_s=_WALL_S, stall_s=settings.stall_s, memory=_MEMORY, file_bytes=4 * MIB
    )
    access = ffmpeg.Access([path], [out], settings.sandbox)
    for min_luma in (DARK, _ANY):
        command = thumbnail_command(path, out, min_luma, settings, media=media)
        completed = ffmpeg.run(command, limits, access, lambda _line: True, cancel=cancel)
        if completed.status == 0 and out.stat().st_size:
            return
    raise Damaged(detail=completed.detail)
