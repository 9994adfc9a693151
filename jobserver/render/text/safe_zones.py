"""Where a frame stays free of what apps and players draw over it.

The numbers are those of the placements: data with a date and a page for each.
"""

from collections.abc import Mapping
from functools import cache

from jobserver import placements
from jobserver.placements import Margins
from jobserver.render.framing import Box

# Of a headline beside a logo; the page draws its preview by the same numbers.
LOGO_GAP = 0.02  # between the two, a share of the frame's height
LEAST_ZONE = 0.4  # of the safe zone's height; a logo that leaves less is drawn over


@cache
def margins() -> Mapping[str, Margins]:
    """Return for each format the shares of width and height that are kept free.

    The largest margins that a placement of the format asks for, so a headline suits all of them.
    """
    return placements.margins()


def safe_zone(width: int, height: int) -> Box:
    """Return the part of a frame that a headline and a logo keep to.

    That of the format whose shape is nearest, since a source may have any.
    """
    nearest = min(margins(), key=lambda name: abs(_ratio(name) - width / height))
    sides = margins()[nearest]
    left, top = round(width * sides["left"]), round(height * sides["top"])
    right, bottom = round(width * sides["right"]), round(height * sides["bottom"])
    return Box(left, top, width - left - right, height - top - bottom)


def headline_zone(frame: tuple[int, int], logo: Box | None) -> Box:
    """Return the part of a frame that a headline keeps to: the safe zone below or above a logo.

    logo: its box, in the safe zone. The zone is the larger of the two, over the whole width; all
    of the safe zone without a logo, and beside one that leaves less than LEAST_ZONE of it.
    """
    safe = safe_zone(*frame)
    if logo is None:
        return safe
    gap = max(2, round(LOGO_GAP * frame[1]))  # places and sides are rounded to even pixels
    end, below = safe.top + safe.height, logo.top + logo.height + gap
    zones = (
        Box(safe.left, below, safe.width, end - below),
        Box(safe.left, safe.top, safe.width, logo.top - gap - safe.top),
    )
    zone = max(zones, key=lambda each: each.height)
    return zone if zone.height >= LEAST_ZONE * safe.height else safe


def _ratio(name: str) -> float:
    across, down = name.split(":")
    return int(across) / int(down)
