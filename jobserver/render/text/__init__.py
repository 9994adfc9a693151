"""Headlines: which font has which character, lines that fit, a picture to be laid over.

Read in this sequence: `fonts`, `bidi` (directions), `lines`, `safe_zones`, `headline`.
"""

from jobserver.render.text.fonts import (
    BUNDLED,
    BrokenFont,
    CannotShape,
    Fonts,
    MissingGlyph,
    TextError,
    cannot_draw,
    load_fonts,
    require_glyphs,
)
from jobserver.render.text.headline import Overlay, TextTooLong, draw_headline
from jobserver.render.text.safe_zones import headline_zone, margins, safe_zone

__all__ = [
    "BUNDLED",
    "BrokenFont",
    "CannotShape",
    "Fonts",
    "MissingGlyph",
    "Overlay",
    "TextError",
    "TextTooLong",
    "cannot_draw",
    "draw_headline",
    "headline_zone",
    "load_fonts",
    "margins",
    "require_glyphs",
    "safe_zone",
]
