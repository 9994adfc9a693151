"""Sounds as samples, so that a test can say what it hears."""

from array import array
from collections.abc import Sequence
from pathlib import Path

from ..conftest import ffmpeg

RATE = 48_000


def pcm(path: Path, *filters: str) -> array:
    """Decode a file; return the samples of its left channel at 48 kHz, 1 is full scale."""
    chosen = ",".join((*filters, "pan=mono|c0=FL"))
    data = ffmpeg("-i", path, "-vn", "-af", chosen, "-ar", str(RATE), "-f", "f32le", "-")
    return array("f", data)


def onsets(samples: Sequence[float], threshold: float = 0.05, pause_s: float = 0.2) -> list[float]:
    """Return the seconds at which a sound begins after a pause."""
    found, last = [], -pause_s * RATE
    for at, value in enumerate(samples):
        if abs(value) > threshold:
            if at - last >= pause_s * RATE:
                found.append(at / RATE)
            last = at
    return found


def pitch(samples: Sequence[float]) -> float:
    """Return the frequency of a tone in Hz, by how often it crosses zero upwards."""
    ups = [n for n in range(1, len(samples)) if samples[n - 1] < 0 <= samples[n]]
    return (len(ups) - 1) * RATE / (ups[-1] - ups[0])
