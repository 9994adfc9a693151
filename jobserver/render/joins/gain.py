"""How much louder or softer an output is made, so that it is as loud as was asked for.

A first gain is computed from what is known of the parts. What came out is measured, and where it
is not right the gain is corrected by what it is off: a mix adds peaks, and AAC moves them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from jobserver.render.joins.model import Mixing
from jobserver.render.measure import Loudness
from jobserver.render.sound.files import BLOCK_S, SoundFile
from jobserver.render.sound.loudness import energy, integrated

CEILING = -1.0  # dBTP of an output with a loudness
_FULL_SCALE = 0.0  # dBTP of one that is left as it is
TOLERANCE = 0.5  # LU that an output may be off what was asked for
_CLOSE = 0.3  # LU, or dB below the ceiling: near enough to be left alone
_ROOM = 0.2  # dB that are left below the ceiling for what encoding adds
_LEAD = 3  # blocks at the start of a sound that have less than 400 ms behind them

Voice = Sequence[tuple[SoundFile | None, float]]  # each part's sound, and its seconds


@dataclass(frozen=True)
class Estimate:
    """What a mix will be like before its gain. integrated: LUFS, true_peak: dBTP, music_gain: dB.

    Both are -inf of silence.
    """

    integrated: float
    true_peak: float
    music_gain: float = 0.0


def estimate(voice: Voice, mixing: Mixing) -> Estimate:
    """Compute the loudness of a mix from the blocks of its parts; its peak without what they add.

    What of two blocks lies on both sides of a joint is left out; sounds are taken to be unlike
    each other, so that their energies add up.
    """
    spoken = [value for sound, seconds in voice for value in _energies(sound, seconds)]
    peaks = [sound.true_peak for sound, _ in voice if sound]
    if mixing.music is None:
        return Estimate(integrated(spoken), max(peaks, default=-math.inf))
    music = mixing.music
    played = list(islice(cycle(_energies(music, music.seconds)), len(spoken)))
    gain = _music_gain(integrated(spoken), integrated(played), mixing.music_volume)
    mixed = [one + other * energy(gain) for one, other in zip(spoken, played, strict=True)]
    return Estimate(integrated(mixed), max(*peaks, music.true_peak + gain, -math.inf), gain)


def _energies(sound: SoundFile | None, seconds: float) -> list[float]:
    """Return the energy of each block that ends within so many seconds, 0 where there is none."""
    count = max(1, round(seconds / BLOCK_S))
    known = [energy(value) for value in sound.blocks[: max(0, count - _LEAD)]] if sound else []
    start = min(_LEAD, count)
    return [*[0.0] * start, *known, *[0.0] * (count - start - len(known))]


def _music_gain(voice: float, music: float, volume: float) -> float:
    """Return the dB that put music `volume` dB above a voice; 0 where either is silence."""
    gain = voice + volume - music
    return gain if math.isfinite(gain) else 0.0


def first_gain(mix: Estimate, target: float | None) -> float:
    """Return the dB that a mix is made louder by. target: LUFS, None: as it is."""
    if target is None:
        return min(0.0, _FULL_SCALE - mix.true_peak - (_ROOM if mix.true_peak > 0 else 0))
    if mix.integrated == -math.inf:
        return 0.0
    return min(target - mix.integrated, CEILING - _ROOM - mix.true_peak)


def correction(found: Loudness | None, target: float | None) -> float:
    """Return the dB by which a gain was off, 0 when what it gave is right.

    found: as measured, None of silence.
    """
    if found is None:
        return 0.0
    room = (_FULL_SCALE if target is None else CEILING) - found.true_peak
    wish = 0.0 if target is None else target - found.integrated
    if room < 0:
        return min(wish, room - _ROOM)
    if wish > _CLOSE and room <= _ROOM + _CLOSE:
        return 0.0
    return min(wish, room - _ROOM) if abs(wish) > _CLOSE else 0.0
