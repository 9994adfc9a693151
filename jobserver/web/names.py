"""The names under which a client saves what it downloads, and the header that carries them.

A variation has one name, alone and in the ZIP: safe on every file system, unlike all others of
its job, and in the letters of the client. A job's title begins it; with a brief the plan has
named it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import NamedTuple
from urllib.parse import quote

from jobserver.jobs.model import File, Output

MAX_STEM_LENGTH = 80  # characters; twice in a path of the ZIP, where Windows allows 260 in all
MAX_STEM_SIZE = 200  # bytes of UTF-8; most file systems allow 255, of which we add some
MAX_TITLE_LENGTH = 40  # characters of a title that begin a stem
MAX_TITLE_SIZE = 100  # bytes of them

# ASCII and C1 controls, and what reverses the direction of text (Unicode Bidi_Control, UAX 9).
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
FORBIDDEN = frozenset('<>:"|?*')
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories
JOINERS = "\u200c\u200d"  # of Persian, Indic scripts and emoji: without them a word is another


def content_disposition(name: str, inline: bool, plain: str | None = None) -> str:
    """Return the header for a file of any name.

    The plain `filename` is ASCII for clients that read no other, as curl; `filename*` has the
    exact name (RFC 6266, 4.3; RFC 8187). Slashes are no part of a name, and control characters
    are left out. plain: what they shall read, instead of the ASCII letters of `name`.
    """
    name = re.sub(r"[/\\]", "_", UNPRINTABLE.sub("_", name))
    plain = re.sub(r'["%/\\]', "_", _ascii(plain or name))  # which some letters turn into
    exact = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{exact}"


class DownloadName(NamedTuple):
    """What a file is saved as. plain: in ASCII, for clients that read no other letters."""

    exact: str
    plain: str


def variation(videos: Sequence[File], output: Output, title: str | None) -> DownloadName:
    """Return what one variation is saved as. videos: all of its job, in their sequence."""
    exact, plain = stems(videos, title), plain_stems(videos, title)
    return DownloadName(
        variation_name(exact[output.file_id], output),
        _ascii(variation_name(plain[output.file_id], output)),
    )


def archive(videos: Sequence[File], title: str | None) -> DownloadName:
    """Return what the ZIP of a job is saved as: it has the title's, or the first source's name."""
    first = videos[0].id
    exact = safe_title(title) or stems(videos)[first]
    plain = _plain(safe_title(title)) or plain_stems(videos)[first]
    return DownloadName(f"{exact}_variations.zip", f"{plain}_variations.zip")


def variation_name(stem: str, output: Output) -> str:
    """Return the name of one variation. stem: of its source, as in stems()."""
    return output.name if output.axes is not None else f"{stem}_var{output.number}.mp4"


def stems(videos: Sequence[File], title: str | None = None) -> dict[str, str]:
    """Return what the names of each source's variations begin with, by the source's id.

    videos: all of a job, in their sequence. Of sources that are named alike, also where a file
    system takes no notice of capitals, the second gets `_2`.
    """
    begin = safe_title(title)
    return _unlike({file.id: _joined(begin, safe_stem(file.name)) for file in videos})


def plain_stems(videos: Sequence[File], title: str | None = None) -> dict[str, str]:
    """Return the same in ASCII, for the plain `filename`."""
    begin = _plain(safe_title(title))
    return _unlike(
        {file.id: _joined(begin, _plain(safe_stem(file.name)) or "video") for file in videos}
    )


@lru_cache(maxsize=256)
def safe_title(title: str | None) -> str:
    """Return what is harmless of a title, or nothing."""
    name = re.sub(r"[/\\]", "_", unicodedata.normalize("NFC", title or ""))
    return _cut("".join(map(_shown, name[:MAX_TITLE_LENGTH])), MAX_TITLE_SIZE)


def _joined(title: str, stem: str) -> str:
    return _cut(f"{title}_{stem}"[:MAX_STEM_LENGTH], MAX_STEM_SIZE) if title else stem


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore").strip(" ._-")


def _plain(text: str) -> str:
    return _ascii(text).strip(" ._-")


@lru_cache(maxsize=1024)  # a status that is asked for again shows the same names
def safe_stem(name: str) -> str:
    """Return what is harmless of a client's file name without its extension, never nothing."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    stem = last.rpartition(".")[0] or last
    shown = "".join(map(_shown, stem[:MAX_STEM_LENGTH]))
    return _cut(shown, MAX_STEM_SIZE) or "video"


def _unlike(stems: Mapping[str, str]) -> dict[str, str]:
    """Return the stems by the same keys, each unlike those before it."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key, stem in stems.items():
        candidates = chain([stem], (f"{stem}_{n}" for n in count(2)))
        found[key] = next(each for each in candidates if each.casefold() not in taken)
        taken.add(found[key].casefold())
    return found


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    hidden = category in INVISIBLE and character not in JOINERS
    return "_" if hidden or character in FORBIDDEN else character
