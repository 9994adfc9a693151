"""The containers of video that a server may accept, known by the first bytes of a file.

Sources: ISO 14496-12, 4.3 (`ftyp`); QuickTime File Format, "Movie atoms" (files without it);
RFC 8794, 11.2 and RFC 9559, 27.1 (EBML, its DocType, and the media types of Matroska).
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobserver.uploads.brands import (
    BOX_HEADER_SIZE,
    START_SIZE,
    has_file_type,
    is_another_format,
    is_quicktime,
)

MP4 = "video/mp4"
OTHER = "other"  # none of CONTAINERS, for certain


class Container(NamedTuple):
    """A container. name: as people call it. types: as a part of a form may declare it."""

    name: str
    types: Sequence[str]


CONTAINERS: Mapping[str, Container] = {
    "mp4": Container("MP4", (MP4,)),
    "mov": Container("MOV", ("video/quicktime",)),
    "webm": Container("WebM", ("video/webm",)),
    "mkv": Container("MKV", ("video/x-matroska", "video/matroska")),
}
_EBML = b"\x1a\x45\xdf\xa3"
MAX_START_SIZE = 128  # bytes in which writers of Matroska name what they write
_DOC_TYPE = re.compile(rb"\x42\x82(?:[\x80-\xff]|\x40.|\x01\0{6}.)(matroska|webm)", re.DOTALL)
_DOC_TYPES = {b"matroska": "mkv", b"webm": "webm"}
_FIRST_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def start_size(start: bytes) -> int:
    """Return how many bytes show what a file is. start: those that are there."""
    return MAX_START_SIZE if start.startswith(_EBML) else START_SIZE


def has_signature(start: bytes) -> bool:
    """Return whether a file begins with what no other kind of file begins with."""
    return has_file_type(start) or start.startswith(_EBML)


def container_of(start: bytes, whole: bool) -> str | None:
    """Return a key of CONTAINERS, OTHER, or None while more bytes may decide.

    start: the first bytes of a file. whole: nothing comes behind them.
    """
    if not whole and len(start) < BOX_HEADER_SIZE:
        return None
    if start.startswith(_EBML):
        if found := _DOC_TYPE.search(start):
            return _DOC_TYPES[found[1]]
        return OTHER if whole or len(start) == MAX_START_SIZE else None
    if not has_file_type(start):
        return "mov" if start[4:8] in _FIRST_ATOMS else OTHER
    if not whole and len(start) < START_SIZE:
        return None
    if is_quicktime(start):
        return "mov"
    return OTHER if is_another_format(start) else "mp4"


def media_types(accept: Sequence[str]) -> list[str]:
    """Return the content types that parts with these containers may declare."""
    return [type_ for key in accept for type_ in CONTAINERS[key].types]


def accepted(accept: Sequence[str], *others: str) -> str:
    """Return the names of containers, and of other formats, as a sentence lists them."""
    *names, last = (*(CONTAINERS[key].name for key in accept), *others)
    return f"{', '.join(names)} and {last}" if names else last
