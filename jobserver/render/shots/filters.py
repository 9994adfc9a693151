"""The filters that turn a source into a shot: time, framing, look, background, overlays.

Pure: makes text, starts nothing. Numbers alone become part of a filter, never a word of a client.
"""

from collections.abc import Sequence
from fractions import Fraction

from jobserver.brief.timeline import Appearance
from jobserver.render.framing import Box, Framing, framing
from jobserver.render.look import CLOCK, is_mirrored, picture_filters
from jobserver.render.media import Media
from jobserver.render.normalise import TAG_BT709, shot_filters, squared
from jobserver.render.stills import Still
from jobserver.render.text import Overlay

STILL_FPS = Fraction(25)  # where nothing else asks for a rate
_BLUR_SCALE = 16  # the background is blurred this much smaller, and enlarged again
_BLUR_SIGMA = 1.6  # pixels of the small picture

Overlays = Sequence[tuple[int, Overlay, str]]  # number of the input, picture, when it is shown


def steps(media: Media | Still, appearance: Appearance, overlays: Overlays) -> list[str]:
    """Return the chain of steps from the source to the shot (see graph.py)."""
    if isinstance(media, Still):
        return [*_still(media, appearance), *_overlaid(overlays)]
    picture = _picture(framing(squared(media.video), appearance), appearance)
    times = _times(media, appearance)
    first = [*times, *picture] if _thins(media, appearance) else [*picture, *times]
    return [*shot_filters(media.video), *first, *_overlaid(overlays)]


def frames(media: Media | Still, appearance: Appearance) -> int | None:
    """Return how many frames a shot has; None where the source's own are kept."""
    if appearance.fps is None and not isinstance(media, Still):
        return None
    fps = appearance.fps or STILL_FPS
    return max(1, round(seconds(media, appearance) * fps))


def half_frame(appearance: Appearance) -> float:
    """Return by how many seconds a time is taken earlier, so that rounding misses no frame."""
    return float(0.5 / appearance.fps) if appearance.fps else 0.000_001


def seconds(media: Media | Still, appearance: Appearance) -> float:
    """Return how long a shot is meant to be."""
    if appearance.seconds is not None:
        return appearance.seconds
    if isinstance(media, Still):
        raise ValueError("a still has no duration of its own")
    return media.packets.duration / appearance.speed


def _still(still: Still, appearance: Appearance) -> list[str]:
    """Return the steps of a still: framed once, then repeated."""
    fps = appearance.fps or STILL_FPS
    opaque = [_on_colour(appearance.pad_color)] if still.alpha else []
    return [
        *opaque,
        f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{TAG_BT709},setsar=1",
        *_picture(framing(still.displayed, appearance), appearance),
        f"loop=loop=-1:size=1,settb=1/{CLOCK},setpts=N*{CLOCK / fps},fps={fps}",
        f"trim=end_frame={frames(still, appearance)}",
    ]


def _on_colour(colour: str) -> str:
    """Return the step that lays a picture with alpha on a colour."""
    return (
        "[{a}]split[m{n}][c{n}];"
        f"[c{{n}}]drawbox=color={_number(colour)}:t=fill,format=rgb24[d{{n}}];"
        "[d{n}][m{n}]overlay=format=rgb[{b}]"
    )


def _number(colour: str) -> str:
    """Return `#rrggbb` as ffmpeg writes a colour: parsed, so that nothing else can be in it."""
    return f"0x{int(colour.removeprefix('#')[:6], 16):06x}"


def _times(media: Media, appearance: Appearance) -> list[str]:
    """Return the steps that set when frames are shown. The first one is shown at 0."""
    if appearance.fps is None:
        clock = [f"settb=1/{CLOCK}"] if appearance.speed != 1 else []
        end = [f"trim=end={appearance.seconds:.6f}"] if appearance.seconds is not None else []
        return [*clock, _speed(appearance), *end]
    count = frames(media, appearance)
    return [
        f"{_speed(appearance)},fps={appearance.fps}:start_time=0",
        f"tpad=stop_mode=clone:stop=2,trim=end_frame={count}",  # of what rounding leaves out
    ]


def _speed(appearance: Appearance) -> str:
    return f"setpts=(PTS-STARTPTS)/{appearance.speed:.6f}"


def _thins(media: Media, appearance: Appearance) -> bool:
    """Return whether there are no more frames after the times are set than before."""
    if appearance.fps is None:
        return True
    return appearance.fps <= media.frames / media.packets.duration * appearance.speed * 1.01


def _picture(found: Framing, appearance: Appearance) -> list[str]:
    """Return the steps that crop, scale and colour the source, and lay it on its background."""
    look = dict(appearance.look or ())
    box = found.box
    done = [_cropped(found.crop)] if found.crop else []
    done.append(f"scale={box.width}:{box.height}:flags=bicubic,setsar=1")
    done += picture_filters(look)
    if appearance.mirror != is_mirrored(look):
        done.append("hflip")
    if not found.fills:
        pad = appearance.fit == "pad"
        done.append(_padded(box, appearance) if pad else _blurred(box, appearance))
    return done


def _cropped(box: Box) -> str:
    return f"crop={box.width}:{box.height}:{box.left}:{box.top}:exact=1"


def _padded(box: Box, appearance: Appearance) -> str:
    frame = f"{appearance.width}:{appearance.height}"
    return f"pad={frame}:{box.left}:{box.top}:color={_number(appearance.pad_color)}"


def _blurred(box: Box, appearance: Appearance) -> str:
    """Return the steps that surround a picture with itself, enlarged and blurred.

    `xstack` puts the pieces beside each other; an overlay would blend each pixel. Its frames say
    nothing of their colours, and of these the muxer writes its `colr` box.
    """
    width, height = appearance.width, appearance.height
    small = [max(8, 2 * round(side / _BLUR_SCALE / 2)) for side in (width, height)]
    cover = min(box.width / width, box.height / height)
    part = [
        min(side, 2 * round(whole * cover / 2))
        for side, whole in ((box.width, width), (box.height, height))
    ]
    bands = _bands(box, width, height)
    names = "".join(f"[e{{n}}x{n}]" for n in range(len(bands)))
    cuts = ";".join(
        f"[e{{n}}x{n}]crop={b.width}:{b.height}:{b.left}:{b.top}[f{{n}}x{n}]"
        for n, b in enumerate(bands)
    )
    pieces = [box, *bands]
    layout = "|".join(f"{piece.left}_{piece.top}" for piece in pieces)
    inputs = "[m{n}]" + "".join(f"[f{{n}}x{n}]" for n in range(len(bands)))
    return (
        "[{a}]split[m{n}][c{n}];"
        f"[c{{n}}]crop={part[0]}:{part[1]},scale={small[0]}:{small[1]}:flags=area,"
        f"gblur=sigma={_BLUR_SIGMA},scale={width}:{height}:flags=bilinear,setsar=1,"
        f"split={len(bands)}{names};{cuts};"
        f"{inputs}xstack=inputs={len(pieces)}:layout={layout},{TAG_BT709}[{{b}}]"
    )


def _bands(box: Box, width: int, height: int) -> list[Box]:
    """Return what of a frame lies around a box: above and below it, then at its sides."""
    bottom, right = box.top + box.height, box.left + box.width
    bands = [
        Box(0, 0, width, box.top),
        Box(0, bottom, width, height - bottom),
        Box(0, box.top, box.left, box.height),
        Box(right, box.top, width - right, box.height),
    ]
    return [band for band in bands if band.width and band.height]


def _overlaid(overlays: Overlays) -> list[str]:
    """Return the steps that lay pictures over the frames."""
    return [
        f"[{number}:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[o{{n}}];"
        f"[{{a}}][o{{n}}]overlay={overlay.box.left}:{overlay.box.top}{shown}[{{b}}]"
        for number, overlay, shown in overlays
    ]
