"""The files that sounds lie in between their source and the outputs: FLAC, 48 kHz, stereo.

They hold the sound HEADROOM_DB lower than it is: lossy sound and the mix of six channels into two
go beyond full scale, which 24 bits of an integer would cut off. Two of the 24 bits pay for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobserver.render.errors import Damaged

RATE = 48_000  # samples a second
HEADROOM = 4.0  # a factor; files hold the samples divided by it
BLOCK_S = 0.1  # from the start of one block of `SoundFile.blocks` to that of the next
_STREAMINFO = 26  # bytes of a FLAC file until its number of samples has been read


@dataclass(frozen=True)
class SoundFile:
    """A sound that outputs can be mixed of, and what measuring it found.

    seconds: exactly what it holds. blocks: loudness in LUFS of the 400 ms that end 0.4 s, 0.5 s,
    0.6 s, ... after its start. true_peak: dBTP, -inf of silence.
    """

    path: Path
    seconds: float
    blocks: tuple[float, ...]
    true_peak: float

    def facts(self) -> dict[str, Any]:
        """Return all but the path as JSON can hold it."""
        peak = None if self.true_peak == float("-inf") else self.true_peak
        return {"seconds": self.seconds, "blocks": list(self.blocks), "truePeak": peak}

    @classmethod
    def from_facts(cls, path: Path, facts: Mapping[str, Any]) -> "SoundFile":
        """Return the sound that `facts` was said of."""
        peak = facts["truePeak"]
        return cls(
            path=path,
            seconds=facts["seconds"],
            blocks=tuple(facts["blocks"]),
            true_peak=float("-inf") if peak is None else peak,
        )


def samples(seconds: float) -> int:
    """Return how many samples a duration has."""
    return round(seconds * RATE)


def stored_samples(path: Path) -> int:
    """Return how many samples a FLAC file says that it holds.

    Raises Damaged when it is none, and OSError. Source: RFC 9639, 8.2.
    """
    with path.open("rb") as file:
        head = file.read(_STREAMINFO)
    if len(head) < _STREAMINFO or not head.startswith(b"fLaC"):
        raise Damaged("The sound of this video could not be kept.", f"no FLAC: {head[:4]!r}")
    return int.from_bytes(head[18:26]) & (1 << 36) - 1
