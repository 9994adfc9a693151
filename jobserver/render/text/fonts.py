"""Fonts, and which characters they have.

One bundled font has Latin, Greek and Cyrillic; FONTS_DIR may hold others. A character is drawn with
the first font that has it, those of FONTS_DIR first, by name.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError
from PIL import features

from jobserver.render.errors import MediaError

BUNDLED = Path(__file__).parent / "fonts" / "NotoSans-Bold.ttf"
SUFFIXES = (".ttf", ".otf")
_OUTLINES = ("glyf", "CFF ", "CFF2")
_INVISIBLE = ("Cf", "Zl", "Zp", "Cc")  # categories: joiners, marks of direction, ends of lines
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # of a variation of a glyph
_VIRAMA = 9  # combining class of the marks that join consonants in scripts of India


class TextError(MediaError):
    """A text that cannot be drawn on this server."""

    sentence = "The headline cannot be drawn."


class CannotShape(TextError):
    """A script whose letters join, or that is read from right to left, and no library for it.

    Pillow's wheels have raqm and HarfBuzz, and look for FriBidi when they start.
    """

    sentence = "This server lacks the library FriBidi that text of this script needs."


class MissingGlyph(TextError):
    """No font has a character of a text. character: the first one that is missing."""

    def __init__(self, character: str) -> None:
        """Name the character, also by its number: what is missing can hardly be shown."""
        super().__init__(f"No font has the character {character} (U+{ord(character):04X}).")
        self.character = character


class BrokenFont(ValueError):
    """A file of FONTS_DIR is no font that text can be drawn with; str() names it."""


@dataclass(frozen=True)
class Font:
    """One font file. characters: the code points that it has a glyph for."""

    path: Path
    characters: frozenset[int]

    def has(self, text: str) -> bool:
        """Return whether it can draw a text, as it is or with its accents taken apart."""
        return all(ord(c) in self.characters or self._has_parts(c) for c in text if is_drawn(c))

    def _has_parts(self, character: str) -> bool:
        parts = unicodedata.normalize("NFD", character)
        return len(parts) > 1 and all(ord(part) in self.characters for part in parts)


@dataclass(frozen=True)
class Fonts:
    """The fonts of one server, the preferred ones first."""

    fonts: tuple[Font, ...]

    def font_of(self, cluster: str, preferred: Font | None = None) -> Font:
        """Return the font for a character and its marks: the preferred one where it has them.

        Raises MissingGlyph when no font has all of them.
        """
        candidates = [preferred, *self.fonts] if preferred else self.fonts
        for font in candidates:
            if font.has(cluster):
                return font
        raise MissingGlyph(self._missing(cluster))

    def _missing(self, cluster: str) -> str:
        """Return the first character of a cluster that no font has, else its last: a mark."""
        return next((c for c in cluster if not any(f.has(c) for f in self.fonts)), cluster[-1])


def load_fonts(folder: Path | None = None) -> Fonts:
    """Read which characters the fonts of FONTS_DIR and the bundled one have.

    Raises BrokenFont for a file that is none, and OSError.
    """
    own = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder else []
    return Fonts(tuple(map(_load, [*own, BUNDLED])))


def _load(path: Path) -> Font:
    try:
        with TTFont(path, lazy=True) as font:
            if not any(table in font for table in _OUTLINES):
                raise BrokenFont(f"{path.name} has no outlines; fonts of pictures cannot be used")
            return Font(path, frozenset(font.getBestCmap() or ()))
    except (TTLibError, AssertionError, KeyError, ValueError) as error:
        if isinstance(error, BrokenFont):
            raise
        raise BrokenFont(f"{path.name} is no font that can be read: {error}") from error


def is_drawn(character: str) -> bool:
    """Return whether a character needs a glyph: joiners and marks of direction do not."""
    if unicodedata.category(character) in _INVISIBLE:
        return False
    return not any(ord(character) in selectors for selectors in _SELECTORS)


def require_glyphs(text: str, fonts: Fonts) -> None:
    """Raise TextError unless all of a text can be drawn: MissingGlyph, or CannotShape."""
    text = unicodedata.normalize("NFC", text)
    for cluster in clusters(text):
        fonts.font_of(cluster)
    if not can_shape() and any(map(_is_shaped, text)):
        raise CannotShape


def cannot_draw(text: str, fonts: Fonts) -> str | None:
    """Return why a text cannot be drawn, as the rest of a sentence about it; None when it can."""
    try:
        require_glyphs(text, fonts)
    except MissingGlyph as error:
        number = f"U+{ord(error.character):04X}"
        return f"has the character {error.character} ({number}), which no font has"
    except CannotShape:
        return "is in a script that needs the library FriBidi, which this server lacks"
    return None


def can_shape() -> bool:
    """Return whether letters can be joined, and laid from right to left."""
    return bool(features.check("raqm"))


def _is_shaped(character: str) -> bool:
    """Return whether a character depends on what is beside it, or is read from right to left."""
    right_to_left = unicodedata.bidirectional(character) in ("R", "AL", "AN")
    return right_to_left or unicodedata.category(character) in ("Mn", "Mc", "Me")


def clusters(text: str) -> Sequence[str]:
    """Split a text into what a reader takes for one character: a letter with its marks.

    A simple form of UAX #29: marks, joiners and selectors stay with the character before them, what
    follows a joiner or a virama too, and flags are pairs.
    """
    found: list[str] = []
    for character in text:
        if found and _continues(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _continues(cluster: str, character: str) -> bool:
    """Return whether a character belongs to the cluster before it."""
    if unicodedata.category(cluster[-1]) in ("Cc", "Zs"):
        return False
    if unicodedata.category(character) in ("Mn", "Mc", "Me") or character in "\u200c\u200d":
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff":  # a tone of skin
        return True
    if cluster[-1] == "\u200d" or unicodedata.combining(cluster[-1]) == _VIRAMA:
        return unicodedata.category(character).startswith(("L", "S"))
    return _is_flag(character) and _is_flag(cluster[-1]) and len(cluster) % 2 == 1


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
