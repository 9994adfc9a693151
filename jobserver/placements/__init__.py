"""Where ads are shown, and what pages say that they may be: data with dates, and what fits.

Pure, and imports nothing of ours: `data` reads placements.json, `fit` compares it with what was
measured. Nothing here says what a platform will do with a video.
"""

from jobserver.placements.data import PLACEMENTS, Margins, Placement, Range, Ratios, margins
from jobserver.placements.fit import Facts, fit, reasons

__all__ = [
    "PLACEMENTS",
    "Facts",
    "Margins",
    "Placement",
    "Range",
    "Ratios",
    "fit",
    "margins",
    "reasons",
]
