"""The names under which a client saves what it downloads, and the header that carries them.

A variation has one name, alone and in the ZIP: safe on every file system, unlike all others of
its job, and in the letters of the client.
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


def variation(files: Sequence[File], output: Output) -> DownloadName:
    """Return what one variation is saved as. files: all of its job, in their sequence."""
    exact, plain = stems(files)[output.file_id], plain_stems(files)[output.file_id]
    return DownloadName(variation_name(exact, output.number), variation_name(plain, output.number))


def archive(files: Sequence[File]) -> DownloadName:
    """Return what the ZIP of a job is saved as: it has the name of the first source."""
    first = files[0].id
    return DownloadName(
        *(f"{each[first]}_variations.zip" for each in (stems(files), plain_stems(files)))
    )


def variation_name(stem: str, number: int) -> str:
    """Return the name of one variation. stem: of its source, as in stems()."""
    return f"{stem}_var{number}.mp4"


def stems(files: Sequence[File]) -> dict[str, str]:
    """Return what the names of each source's variations begin with, by the source's id.

    files: all of a job, in their sequence. Of sources that are named alike, also where a file
    system takes no notice of capitals, the second gets `_2`.
    """
    return _unlike({file.id: safe_stem(file.name) for file in files})


def plain_stems(files: Sequence[File]) -> dict[str, str]:
    """Return the same in ASCII, for the plain `filename`."""
    return _unlike(
        {file.id: _ascii(safe_stem(file.name)).strip(" ._-") or "video" for file in files}
    )


@lru_cache(maxsize=1024)  # a status that is asked for again shows the same names
def safe_stem(name: str) -> str:
    """Return what is harmless of a client's file name without its extension, never nothing."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    stem = last.rpartition(".")[0] or last
    shown = "".join(map(_shown, stem[:MAX_STEM_LENGTH]))
    return shown.encode()[:MAX_STEM_SIZE].decode(errors="ignore").strip(" ._-") or "video"


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
