"""The file fields of the form, and what each takes, as the first bytes of a file say.

Sources: PNG, https://www.w3.org/TR/png-3/#5PNG-file-signature; JPEG, ITU-T T.81, B.1.1.3 (a marker
follows the start of image); WebP, https://developers.google.com/speed/webp/docs/riff_container;
MP3, https://id3.org/id3v2.4.0-structure and the frame header of ISO 11172-3, 2.4.2.3; WAV, EBU Tech
3306 (RF64); FLAC, RFC 9639, 8; Ogg, RFC 3533, 6.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from jobserver.errors import NotAccepted, NotAnMP4
from jobserver.uploads.brands import has_file_type, may_be_sound
from jobserver.uploads.containers import (
    MAX_START_SIZE,
    MP4,
    accepted,
    container_of,
    has_signature,
    media_types,
    start_size,
)

UNDECLARED = ("application/octet-stream", None)  # content types that say nothing
MIB = 1024 * 1024
MAX_STILL_SIZE = 20 * MIB  # bytes
MAX_MUSIC_SIZE = 100 * MIB
MAX_ASSETS = 10  # files of one field beside the videos


class Beginning(NamedTuple):
    """What is known of a file that arrives. start: its first bytes, as many as are needed.

    content_type: as the client declared it. whole: nothing comes behind `start`. accept: the
    containers of video that this server takes, see containers.CONTAINERS.
    """

    content_type: str | None
    start: bytes = b""
    whole: bool = False
    accept: Sequence[str] = ("mp4",)

    @property
    def is_enough(self) -> bool:
        """Whether it is enough to know the format."""
        return self.whole or len(self.start) == start_size(self.start)

    def followed_by(self, piece: bytes) -> "Beginning":
        """Return what is known with the next piece of the file."""
        start = self.start + piece[:MAX_START_SIZE]
        return self._replace(start=start[: start_size(start)])


# Returns how many bytes the file may have, None for as many as a video. Raises NotAccepted.
Check: TypeAlias = Callable[[Beginning], int | None]


class FileField(NamedTuple):
    """A file field of the form. max_files: None for as many as there may be videos."""

    name: str
    check: Check
    max_files: int | None = MAX_ASSETS


def check_video(seen: Beginning) -> None:
    """Refuse what is declared, or begins, as none of the accepted containers.

    A file that is declared as MP4 may begin otherwise, as those did before `ftyp` was made.
    """
    if seen.content_type not in (*media_types(seen.accept), *UNDECLARED):
        raise _no_such_video(seen)
    found = container_of(seen.start, seen.whole)
    bare = seen.content_type == MP4 and not has_signature(seen.start)
    if found is not None and found not in seen.accept and not bare:
        raise _no_such_video(seen)


def _no_such_video(seen: Beginning) -> NotAnMP4:
    return NotAnMP4(f"Only {accepted(seen.accept)} files are accepted")


def check_ending(seen: Beginning) -> int | None:
    """Take a video or a still."""
    if not seen.is_enough and _is_picture(seen.content_type):
        return None
    if seen.is_enough and is_still(seen.start):
        return MAX_STILL_SIZE
    try:
        check_video(seen if seen.is_enough else seen._replace(start=b""))
    except NotAnMP4 as error:
        formats = accepted(seen.accept, "PNG", "JPEG", "WebP")
        raise NotAccepted(f"Only {formats} files are accepted as endings") from error
    return None


def check_overlay(seen: Beginning) -> int:
    """Take a still, whatever it is declared as."""
    if seen.is_enough and not is_still(seen.start):
        raise NotAccepted("Only PNG, JPEG and WebP files are accepted as overlays")
    return MAX_STILL_SIZE


def check_music(seen: Beginning) -> int:
    """Take a sound file, whatever it is declared as."""
    if seen.is_enough and not is_sound(seen.start):
        raise NotAccepted("Only M4A, MP3, WAV, FLAC and OGG files are accepted as music")
    return MAX_MUSIC_SIZE


def is_still(start: bytes) -> bool:
    """Return whether a file begins as a PNG, JPEG or WebP. start: its first bytes."""
    if start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return True
    return start[:4] == b"RIFF" and start[8:12] == b"WEBP"


def is_sound(start: bytes) -> bool:
    """Return whether a file begins as an M4A, MP3, WAV, FLAC or OGG. start: its first bytes."""
    if start.startswith((b"ID3", b"fLaC", b"OggS")):
        return True
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return True
    if has_file_type(start):
        return may_be_sound(start)
    # Eleven bits of sync, any version, layer III; AAC has the same sync and layer 0.
    return len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2


def _is_picture(content_type: str | None) -> bool:
    return (content_type or "").startswith("image/")


VIDEOS = "videos"
FIELDS: Mapping[str, FileField] = {
    field.name: field
    for field in (
        FileField(VIDEOS, check_video, max_files=None),
        FileField("hooks", check_video),
        FileField("endings", check_ending),
        FileField("overlays", check_overlay),
        FileField("music", check_music),
    )
}
