"""Where a frame stays free of what apps and players draw over it.

The numbers are data with a date, and with the page that each was read from (safe_zones.json).
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jobserver.render.framing import Box

_FILE = Path(__file__).with_name("safe_zones.json")


@cache
def margins() -> dict[str, Any]:
    """Return the data file: for each format the shares of width and height that are kept free."""
    formats: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["formats"]
    return formats


def safe_zone(width: int, height: int) -> Box:
    """Return the part of a frame that a headline and a logo keep to.

    That of the format whose shape is nearest, since a source may have any.
    """
    nearest = min(margins(), key=lambda name: abs(_ratio(name) - width / height))
    sides = margins()[nearest]
    left, top = round(width * sides["left"]), round(height * sides["top"])
    right, bottom = round(width * sides["right"]), round(height * sides["bottom"])
    return Box(left, top, width - left - right, height - top - bottom)


def _ratio(name: str) -> float:
    across, down = name.split(":")
    return int(across) / int(down)
