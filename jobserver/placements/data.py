"""The data file, read once into types; a mistake in it is an error when the server starts."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

SIDES = ("left", "top", "right", "bottom")
Margins: TypeAlias = Mapping[str, float]  # of SIDES, as shares of width or height

_FILE = Path(__file__).with_name("placements.json")


class Range(NamedTuple):
    """From the least to the most, both included; None is no limit."""

    least: float | None = None
    most: float | None = None


class Ratios(NamedTuple):
    """Which shapes a page asks for: some, or all from the narrowest to the widest.

    word: "accepted" where the page names no others, "recommended" where it does.
    """

    word: str
    names: tuple[str, ...]
    between: bool = False


class Placement(NamedTuple):
    """One placement. What no page said is None or empty.

    smallest, largest: width and height by ratio ("9:16"), orientation or "any". seconds, bytes,
    bitrate: bits a second. fps: the most. loudness: LUFS, a hint. notes: sentences. safe_zone: the
    margins that stay free in frames of the format `zone_format`.
    """

    name: str
    ratios: Ratios
    smallest: Mapping[str, tuple[int, int]]
    largest: Mapping[str, tuple[int, int]]
    seconds: Range
    bytes: Range
    bitrate: Range
    fps: float | None
    codecs: tuple[str, ...]
    loudness: float | None
    notes: tuple[str, ...]
    zone_format: str | None
    safe_zone: Margins | None


@cache
def ratio_of(name: str) -> float:
    """Return width by height of a ratio such as "9:16"."""
    across, down = name.split(":")
    return float(across) / float(down)


def _ratios(data: Mapping[str, Any]) -> Ratios:
    between = "of" not in data
    names = (data["from"], data["to"]) if between else tuple(data["of"])
    return Ratios(data["word"], names, between)


def _sizes(data: Mapping[str, Any]) -> Mapping[str, tuple[int, int]]:
    return {name: (width, height) for name, (width, height) in data.items()}


def _placement(data: Mapping[str, Any]) -> Placement:
    zone = data.get("safeZone")
    return Placement(
        name=data["name"],
        ratios=_ratios(data["ratios"]),
        smallest=_sizes(data.get("smallest", {})),
        largest=_sizes(data.get("largest", {})),
        seconds=Range(*data.get("seconds", ())),
        bytes=Range(*data.get("bytes", ())),
        bitrate=Range(*data.get("bitrate", ())),
        fps=data.get("fps"),
        codecs=tuple(data.get("codecs", ())),
        loudness=data.get("loudness"),
        notes=tuple(data["notes"]),
        zone_format=zone and zone["format"],
        safe_zone=zone and {side: zone[side] for side in SIDES},
    )


DATA: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
PLACEMENTS: tuple[Placement, ...] = tuple(map(_placement, DATA["placements"]))


def margins() -> dict[str, Margins]:
    """Return for each format the largest margins that a placement of it asks for.

    Of a format that no placement has a safe zone of, those that the file gives it.
    """
    zones = [
        *((name, zone) for name, zone in DATA["formats"].items()),
        *((each.zone_format, each.safe_zone) for each in PLACEMENTS if each.safe_zone),
    ]
    found: dict[str, Margins] = {}
    for name, zone in zones:
        known = found.get(name, dict.fromkeys(SIDES, 0.0))
        found[name] = {side: max(known[side], zone[side]) for side in SIDES}
    return found
