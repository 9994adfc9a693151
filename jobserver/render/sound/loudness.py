"""Loudness of sounds that are put together, computed from that of their blocks.

Source: ITU-R BS.1770-5, annex 1: gated loudness. EBU Tech 3341: true peak.
"""

import math
from collections.abc import Iterable, Sequence

_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = -10.0  # LU below the mean of what passes the absolute one


def energy(lufs: float) -> float:
    """Return the energy of a block; the constant that BS.1770 subtracts cancels out."""
    return 10 ** (lufs / 10)


def lufs(energy: float) -> float:
    """Return the loudness of an energy, -inf of none."""
    return 10 * math.log10(energy) if energy > 0 else -math.inf


def integrated(energies: Iterable[float]) -> float:
    """Return the integrated loudness of blocks, in LUFS; -inf when all of them are silence."""
    heard = [value for value in energies if value > energy(_ABSOLUTE_GATE)]
    if not heard:
        return -math.inf
    gate = _mean(heard) * energy(_RELATIVE_GATE)
    return lufs(_mean([value for value in heard if value > gate]))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
