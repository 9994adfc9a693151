"""Which placements an output fits, from what was measured of it; computed each time it is shown."""

from collections.abc import Mapping
from typing import TypeAlias

from jobserver.jobs.model import Output
from jobserver.placements import Facts, fit

Placements: TypeAlias = dict[str, list[str]]


def placements_of(output: Output) -> Placements | None:
    """Return why an output does not fit, by the name of each placement; nothing: it fits.

    None where its picture or duration was not measured.
    """
    width, height, duration = output.width, output.height, output.duration
    if width is None or height is None or duration is None:
        return None
    return fit(Facts(width, height, duration, output.size))


def fitting(found: Mapping[str, list[str]] | None) -> str | None:
    """Return the names of the placements that fit, for one cell of a table; "none" for none."""
    if found is None:
        return None
    return "; ".join(name for name, reasons in found.items() if not reasons) or "none"
