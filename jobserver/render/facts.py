"""What the timelines of a brief need to know of a source, from what probing has found."""

from fractions import Fraction

from jobserver.brief.timeline import PartFacts
from jobserver.render.media import Media
from jobserver.render.sound import Music
from jobserver.render.stills import Still

_NTSC = Fraction(1000, 1001)
# Frame rates of cameras, and those that North American television has made of them.
_RATES = [
    Fraction(rate) * slowed
    for rate in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120)
    for slowed in (1, _NTSC)
]
_TOLERANCE = 0.0004  # of a rate; 24 and 23.976 are 0.001 apart
_ROUNDED_TICKS = 1.5  # by which rounding of the first and last time moves the duration
_STEADY = 1.5  # times the mean that the longest frame of a steady rate may last


def clip_facts(media: Media) -> PartFacts:
    """Return the facts of a clip. Its duration is that of the picture: cuts count from it."""
    width, height = media.displayed
    return PartFacts(
        duration=media.packets.duration,
        width=width,
        height=height,
        fps=frame_rate(media),
        has_sound=bool(media.audio),
    )


def still_facts(still: Still) -> PartFacts:
    """Return the facts of a picture."""
    width, height = still.displayed
    return PartFacts(duration=0.0, width=width, height=height, still=True)


def music_facts(music: Music) -> PartFacts:
    """Return the facts of music."""
    return PartFacts(duration=music.duration, has_sound=True)


def frame_rate(media: Media) -> Fraction | None:
    """Return the frames a second of a clip; None where frames have no steady rate."""
    packets = media.packets
    if not media.frames or not packets.duration:
        return None
    mean = packets.duration / media.frames
    if packets.longest > _STEADY * mean:
        return None
    rate = 1 / mean
    nearest = min(_RATES, key=lambda known: abs(known - rate))
    rounded = _ROUNDED_TICKS * packets.timebase / packets.duration  # much in Matroska's 1 ms
    if abs(nearest - rate) <= max(_TOLERANCE, rounded) * rate:
        return nearest
    return Fraction(rate).limit_denominator(1001)
