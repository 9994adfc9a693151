"""What was measured of an output."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Loudness:
    """How loud an output is, as measured after it was encoded (EBU R 128).

    integrated: LUFS, true_peak: dBTP. limited: whether it is less loud than was asked for,
    because its peaks would have gone beyond the limit.
    """

    integrated: float
    true_peak: float
    limited: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured:
    """hashes: of its picture, see hashes.py. loudness: None without sound, and of silence."""

    hashes: bytes
    loudness: Loudness | None = None
