"""Names of outputs: a template, or the axes that vary; safe everywhere, unlike all others."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from jobserver.brief.combine import values_of
from jobserver.brief.errors import BriefError, quoted
from jobserver.brief.model import AXES, Axes, Brief

FIELDS = ("title", *AXES, "n")
MAX_LENGTH = 100  # characters; of each field fewer, so that no field takes the place of another
MAX_FIELD_LENGTH = 40
MAX_SIZE = 180  # bytes of UTF-8; most file systems allow 255, of which `_2` and `.mp4` need some
_FIELD = re.compile(r"\{([^{}]*)\}")
_HARMLESS = frozenset("+-._")
# Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])", re.I
)


def check_template(template: str) -> None:
    """Raise BriefError for a field that there is not, or a brace without its other."""
    for name in _FIELD.findall(template):
        if name not in FIELDS:
            raise BriefError("name", f"has the field {quoted(name)}; known are {', '.join(FIELDS)}")
    if re.search(r"[{}]", _FIELD.sub("", template)):
        raise BriefError("name", "has a brace without its other")


def template_of(brief: Brief, title: str | None) -> str:
    """Return the template of a brief, or that of the axes that vary: `{video}_{hook}_{n}`.

    Without a template the title of the job, where it has one, begins each name.
    """
    if brief.name is not None:
        return brief.name
    varied = [axis for axis, values in values_of(brief).items() if len(values) > 1]
    first = ["title"] if title else []
    return "_".join(f"{{{name}}}" for name in (*first, "video", *varied, "n"))


def fields(axes: Axes, headline: int, title: str | None) -> dict[str, str]:
    """Return what each field of a template is for one output, but `n`.

    headline: its place among those of the brief, from 1.
    """
    return {
        "title": title or "untitled",
        "video": stem(axes.video),
        "hook": stem(axes.hook) if axes.hook else "nohook",
        "ending": stem(axes.ending) if axes.ending else "noending",
        "format": axes.format.replace(":", "x"),
        "length": axes.length if axes.length == "full" else f"{axes.length:g}s",
        "speed": f"{axes.speed:g}x",
        "mirror": "mirrored" if axes.mirror else "unmirrored",
        "headline": "noheadline" if axes.headline is None else f"headline{headline}",
        "music": stem(axes.music) if axes.music else "nomusic",
        "look": "nolook" if axes.look is None else f"look{axes.look}",
    }


def stem(name: str) -> str:
    """Return a file's name without its folder and extension."""
    last = re.split(r"[/\\]", name)[-1]
    return last.rpartition(".")[0] or last


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return the safe name that a template and its fields give, never an empty one."""
    filled = _FIELD.sub(lambda field: safe(values[field[1]], MAX_FIELD_LENGTH), template)
    return safe(filled, MAX_LENGTH) or "output"


def safe(text: str, length: int) -> str:
    """Return what is harmless of a text in a name of a file, on every system; it may be empty."""
    composed = unicodedata.normalize("NFC", text)
    plain = re.sub("__+", "_", "".join(map(_harmless, composed)))[:length]
    plain = plain.encode()[:MAX_SIZE].decode(errors="ignore").strip("._-")
    return f"{plain}_" if _DEVICES.fullmatch(plain.partition(".")[0]) else plain


def _harmless(character: str) -> str:
    """Return a letter, mark or digit of any script as it is, and `_` for what may be a sign."""
    keeps = character in _HARMLESS or unicodedata.category(character)[0] in "LMN"
    return character if keeps else "_"


def unlike(names: Iterable[str]) -> Iterator[str]:
    """Yield each name, with `_2`, `_3` ... where an earlier one is equal but for capitals."""
    taken: set[str] = set()
    last: dict[str, int] = {}
    for name in names:
        base, candidate = name.casefold(), name
        while candidate.casefold() in taken:
            last[base] = last.get(base, 1) + 1
            candidate = f"{name}_{last[base]}"
        taken.add(candidate.casefold())
        yield candidate
