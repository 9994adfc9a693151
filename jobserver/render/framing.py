"""Where the picture of a source lies in the frame of an output. Pure arithmetic.

Pixels here are square: those of the source as it is displayed, and those of the frame.
"""

from dataclasses import dataclass

from jobserver.brief.timeline import Appearance

MAX_ENLARGING = 2.0  # more shows nothing but blur; what is left of the frame is background
_SNAP = 0.01  # a bar narrower than this share of a side is rounding, or looks like a mistake


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Framing:
    """How a source becomes a frame: `crop` of it is scaled to `box` of the frame.

    crop: None, all of it. box: sides and place are even, for 4:2:0. fills: whether the box is
    the whole frame, so that no background is seen.
    """

    crop: Box | None
    box: Box
    fills: bool


def framing(displayed: tuple[int, int], appearance: Appearance) -> Framing:
    """Return where a source of this displayed size lies in the frame."""
    frame = (appearance.width, appearance.height)
    scale = _scale(displayed, frame, covers=appearance.fit == "crop")
    sides = [
        _snapped(min(side * scale, whole), whole)
        for side, whole in zip(displayed, frame, strict=True)
    ]
    box = _centred(sides, frame)
    shares = [min(1.0, out / (side * scale)) for out, side in zip(sides, displayed, strict=True)]
    crop = _crop(displayed, shares, appearance)
    return Framing(crop, box, fills=(box.width, box.height) == frame)


def _scale(displayed: tuple[int, int], frame: tuple[int, int], *, covers: bool) -> float:
    """Return how many pixels of the frame a pixel of the source becomes."""
    ratios = [whole / side for side, whole in zip(displayed, frame, strict=True)]
    return min(MAX_ENLARGING, max(ratios) if covers else min(ratios))


def _snapped(side: float, whole: int) -> int:
    """Round a side to an even number; make it the whole side if it is so but for a hair."""
    if side >= whole * (1 - _SNAP):
        return whole
    return max(2, 2 * round(side / 2))


def _centred(sides: list[int], frame: tuple[int, int]) -> Box:
    left, top = (2 * ((whole - side) // 4) for side, whole in zip(sides, frame, strict=True))
    return Box(left, top, *sides)


def _crop(displayed: tuple[int, int], shares: list[float], appearance: Appearance) -> Box | None:
    """Return the part of the source that is seen, around the focus; None for all of it.

    shares: of width and height that are seen. The zoom of a look narrows them further. Sides and
    place are even, so that chroma and luma stay aligned.
    """
    look = dict(appearance.look or ())
    zoom, places = 1 - look.get("zoom", 0.0), (look.get("left", 0.5), look.get("top", 0.5))
    spans = [
        _span(side, share, focus=focus, zoom=zoom, place=place)
        for side, share, focus, place in zip(
            displayed, shares, appearance.focus, places, strict=True
        )
    ]
    (left, width), (top, height) = spans
    return None if (width, height) == displayed else Box(left, top, width, height)


def _span(side: int, share: float, *, focus: float, zoom: float, place: float) -> tuple[int, int]:
    """Return where the seen part of one side begins, and how long it is.

    focus: the place of the source that lies in the middle where that is possible. zoom: the share
    of the side that a look leaves; place: how much of the rest it cuts off at the start, 0..1.
    """
    seen = share * zoom
    length = side if seen > 1 - 1 / side else min(side, max(2, 2 * round(side * seen / 2)))
    start = min(max(focus - share / 2, 0.0), 1 - share)  # without the zoom
    offset = (1 - zoom) * place + start * zoom
    return min(2 * round(side * offset / 2), (side - length) // 2 * 2), length
