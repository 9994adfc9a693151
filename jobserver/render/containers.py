"""Which container a file is, by its first bytes: they alone choose the demuxer of ffmpeg.

ffmpeg's own guess would follow playlists, scripts and references to other files.
"""

from collections.abc import Collection
from pathlib import Path

from jobserver.render.boxes import Index, read_index
from jobserver.render.ebml import MAGIC
from jobserver.render.errors import NotAnMP4
from jobserver.render.matroska import read_matroska

# Container -> how a sentence names it.
CONTAINERS = {"mp4": "an MP4", "mov": "a MOV", "webm": "a WebM", "mkv": "an MKV"}


def read_container(path: Path, accept: Collection[str]) -> Index:
    """Read what a file declares. accept: names of CONTAINERS.

    Raises NotAnMP4 when it is none of them, what `read_index` or `read_matroska` raise, OSError.
    """
    try:
        if _begins_with(path, MAGIC):
            return read_matroska(path, accept)
        if not {"mp4", "mov"} & set(accept):
            raise NotAnMP4
        return read_index(path)
    except NotAnMP4 as error:
        raise not_accepted(accept, error.detail) from error


def not_accepted(accept: Collection[str], detail: str = "") -> NotAnMP4:
    """Return the error whose sentence names what would have been accepted."""
    first, *others = (name for key, name in CONTAINERS.items() if key in accept)
    names = [first, *(name.split()[1] for name in others)]
    listed = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return NotAnMP4(f"This file is not {listed} video.", detail)


def _begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start
