"""Draw a headline to a transparent picture that is laid over a frame.

Text is shaped and drawn by Pillow (raqm), so it is never part of a command or a filter graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont

from jobserver.brief.model import Headline, Position
from jobserver.render.framing import Box
from jobserver.render.text.fonts import Font, Fonts, TextError, can_shape, require_glyphs
from jobserver.render.text.lines import Line, Run, lines
from jobserver.render.text.safe_zones import headline_zone, safe_zone

# The page draws its preview by the same numbers. Shares of the height of a line.
FONT_SIZE = 0.8  # em
BASELINE = 0.785  # from the top of the line: capital letters stand in its middle
PADDING_ACROSS, PADDING_DOWN, RADIUS = 0.35, 0.2, 0.15  # of the plate
_SHRINK = 0.94  # until the text fits
_WEIGHT = 700
_MIN_LINE = 1.0  # pixels; nobody reads that, but one headline in a tiny source fails nothing else
_FINE = 4  # the plate's corners are drawn this much larger, then scaled down


class TextTooLong(TextError):
    """Not even the smallest letters make a text fit."""

    sentence = "The headline is too long for the picture."


@dataclass(frozen=True)
class Overlay:
    """A picture to be laid over a frame. box: where; its place is even."""

    path: Path
    box: Box


@dataclass(frozen=True)
class _Block:
    """Lines at a size. line: pixels from one to the next. widths: of each line, pixels."""

    lines: Sequence[Line]
    widths: Sequence[float]
    line: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, without padding."""
        return max(self.widths, default=0.0), self.line * len(self.lines)


def draw_headline(
    headline: Headline,
    frame: tuple[int, int],
    fonts: Fonts,
    out: Path,
    *,
    logo: Box | None = None,
) -> Overlay:
    """Write a headline as a PNG and return where it lies in the frame.

    It is wrapped, and made smaller where it must be, to fit the part of the safe zone that
    a logo at this place leaves. Raises TextError: MissingGlyph, CannotShape or TextTooLong.
    """
    require_glyphs(headline.text, fonts)
    faces = _Faces()
    zone = headline_zone(frame, logo)
    block = _fitted(headline, frame, zone, fonts=fonts, faces=faces)
    picture = _drawn(block, headline, faces)
    left, top = _place(picture.size, frame, zone, headline.position)
    picture.save(out, "PNG", compress_level=1)
    return Overlay(out, Box(_even(max(0, left)), _even(max(0, top)), *picture.size))


def _place(
    size: tuple[int, int], frame: tuple[int, int], zone: Box, position: Position
) -> tuple[int, int]:
    """Return left and top: the middles are of the frame and its safe zone, as far as fits."""
    safe, spare = safe_zone(*frame), zone.height - size[1]
    middle = safe.top + (safe.height - size[1]) // 2 - zone.top
    down = {"top": 0, "middle": min(max(middle, 0), spare), "bottom": spare}[position]
    left = min(max((frame[0] - size[0]) // 2, zone.left), zone.left + zone.width - size[0])
    return left, zone.top + down


def _fitted(
    headline: Headline, frame: tuple[int, int], zone: Box, *, fonts: Fonts, faces: "_Faces"
) -> _Block:
    """Return the text in the largest letters, at most of the wanted size, that fit the zone."""
    line = headline.size * frame[1]
    while line >= _MIN_LINE:
        width, height = zone.width - _across(line), zone.height - _down(line)
        block = _block(headline.text, fonts, line=line, width=width, faces=faces)
        if block.size[0] <= width and block.size[1] <= height:
            return block
        line *= _SHRINK
    raise TextTooLong


def _block(text: str, fonts: Fonts, *, line: float, width: float, faces: "_Faces") -> _Block:
    def measure(run: Run) -> float:
        return faces.width(run, line)

    found = lines(text, fonts, width, measure)
    return _Block(found, [sum(map(measure, each)) for each in found], line)


def _across(line: float) -> float:
    """Return the padding of the plate, both sides together, and what rounding may add."""
    return 2 * PADDING_ACROSS * line + 2


def _down(line: float) -> float:
    return 2 * PADDING_DOWN * line + 2


def _drawn(block: _Block, headline: Headline, faces: "_Faces") -> Image.Image:
    """Return the picture; sides are even.

    What is transparent has the colour of what it borders on: scaled chroma mixes neighbours.
    """
    size = (_even(block.size[0] + _across(block.line)), _even(block.size[1] + _down(block.line)))
    red, green, blue, alpha = _rgba(headline.color)
    letters = Image.new("RGBA", size, (red, green, blue, 0))
    mask = _letters(block, size, faces)
    letters.putalpha(mask.point([round(value * alpha / 255) for value in range(256)]))
    if headline.background is None:
        return letters
    return Image.alpha_composite(_plate(headline.background, size, block.line), letters)


def _letters(block: _Block, size: tuple[int, int], faces: "_Faces") -> Image.Image:
    """Return the letters of all lines, in the middle of each, as a mask."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for n, (line, width) in enumerate(zip(block.lines, block.widths, strict=True)):
        x = (size[0] - width) / 2
        y = 1 + block.line * (PADDING_DOWN + n + BASELINE)
        for run in line:
            faces.draw(draw, run, (x, y), block.line)
            x += faces.width(run, block.line)
    return mask


def _plate(colour: str, size: tuple[int, int], line: float) -> Image.Image:
    red, green, blue, alpha = _rgba(colour)
    large = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
    corners = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(corners, round(RADIUS * line * _FINE), fill=alpha)
    plate = Image.new("RGBA", size, (red, green, blue, 0))
    plate.putalpha(large.resize(size, Image.Resampling.BOX))
    return plate


def _rgba(colour: str) -> tuple[int, int, int, int]:
    red, green, blue, *alpha = ImageColor.getrgb(colour)
    return red, green, blue, alpha[0] if alpha else 255


def _even(number: float) -> int:
    return 2 * round(number / 2)


class _Faces:
    """Fonts at sizes, opened once for one picture: a face of FreeType belongs to one thread."""

    def __init__(self) -> None:
        self.opened: dict[tuple[Path, float], ImageFont.FreeTypeFont] = {}

    def _face(self, font: Font, line: float) -> ImageFont.FreeTypeFont:
        key = (font.path, line)
        if key not in self.opened:
            self.opened[key] = _bold(ImageFont.truetype(font.path, FONT_SIZE * line))
        return self.opened[key]

    def width(self, run: Run, line: float) -> float:
        """Return the width of a run in pixels."""
        return self._face(run.font, line).getlength(run.text, direction=_direction(run))

    def draw(
        self, draw: ImageDraw.ImageDraw, run: Run, at: tuple[float, float], line: float
    ) -> None:
        """Draw a run. at: the left end of its baseline."""
        face = self._face(run.font, line)
        draw.text(at, run.text, fill=255, font=face, anchor="ls", direction=_direction(run))


def _bold(face: ImageFont.FreeTypeFont) -> ImageFont.FreeTypeFont:
    """Make a variable font as bold as the bundled one, as far as it can be; return it."""
    try:
        axes = face.get_variation_axes()
    except (OSError, NotImplementedError):  # one that does not vary
        return face
    weights: list[float] = [
        min(max(_WEIGHT, axis["minimum"] or 0), axis["maximum"] or 0)
        if axis["name"] == b"Weight"
        else axis["default"] or 0
        for axis in axes
    ]
    face.set_variation_by_axes(weights)
    return face


def _direction(run: Run) -> str | None:
    """Return the direction for raqm; without raqm nothing else than left to right is drawn."""
    if not can_shape():
        return None
    return "rtl" if run.rtl else "ltr"
