"""The live pictures of a brief, drawn by the page, against what the server renders."""

from dataclasses import asdict, astuple
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from jobserver.brief.model import Headline
from jobserver.brief.timeline import Appearance
from jobserver.render.framing import Box, framing
from jobserver.render.text import draw_headline, load_fonts, safe_zone
from tests.pages.conftest import NewVisitor
from tests.support import Server

pytestmark = pytest.mark.browser

FORMATS = {"9:16": (1080, 1920), "4:5": (1080, 1350), "1:1": (1080, 1080), "16:9": (1920, 1080)}
SOURCES = [(640, 360), (1280, 720), (1920, 1080), (1080, 1920), (720, 720), (320, 180)]
LOGOS = [(0.0, 0.0), (0.0, 0.15), (0.0, 0.55), (0.9, 0.1), (0.3, 0.7)]  # none, ..., too high
GREEN = "#00ff00"

PLACE = """async ([source, format, fit, focus]) => {
    const { frameSize, placement } = await import(location.origin + "/static/brief/drawing.js");
    const frame = frameSize(format, 1080, source);
    return { frame, ...placement(source, frame, { fit, focus }) };
}"""

# Draws a headline with a green plate on black; returns the plate's left, top, width and height.
DRAW = """async ([headline, [width, height], logo]) => {
    const { drawHeadline, loadFont } = await import(location.origin + "/static/brief/overlays.js");
    await loadFont();
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    drawHeadline(context, { width, height }, headline, logo);
    const { data } = context.getImageData(0, 0, width, height);
    const [xs, ys] = [[], []];
    for (let place = 0; place < width * height; place += 1) {
        if (data[4 * place + 3] < 200) continue;
        xs.push(place % width);
        ys.push(Math.floor(place / width));
    }
    const ends = [xs, ys].map((each) => each.reduce(([low, high], one) =>
        [Math.min(low, one), Math.max(high, one)], [Infinity, 0]));
    return [ends[0][0], ends[1][0], ends[0][1] - ends[0][0] + 1, ends[1][1] - ends[1][0] + 1];
}"""


def as_list(box: Any) -> list[float]:
    return [box["left"], box["top"], box["width"], box["height"]]


@pytest.mark.parametrize(("fit", "focus"), [("blur", (0.5, 0.5)), ("crop", (0.2, 0.9))])
def test_a_clip_lies_in_each_frame_where_the_server_puts_it(
    new_visitor: NewVisitor, rendering_server: Server, fit: Any, focus: tuple[float, float]
) -> None:
    page = new_visitor(rendering_server).open().page
    for source, format_ in product(SOURCES, FORMATS):
        size = dict(zip(("width", "height"), source, strict=True))
        seen = page.evaluate(PLACE, [size, format_, fit, list(focus)])
        width, height = FORMATS[format_]
        assert seen["frame"] == {"width": width, "height": height}
        shape: dict[str, Any] = {"format": format_, "fit": fit, "pad_color": "#000000"}
        wanted = framing(
            source, Appearance(width=width, height=height, focus=focus, fps=None, **shape)
        )
        # the server rounds to even pixels, and takes bars of less than 1 % away
        box = pytest.approx(list(astuple(wanted.box)), abs=0.011 * max(width, height))
        assert as_list(seen["box"]) == box
        if wanted.crop:
            assert as_list(seen["crop"]) == pytest.approx(list(astuple(wanted.crop)), abs=2.1)


@pytest.mark.parametrize(
    ("text", "position", "size"),
    [
        ("Half price", "top", 0.05),
        ("Half price today, and only until the end of the week", "middle", 0.06),
        ("Жизнь и Ωmega\nof two lines", "bottom", 0.04),
    ],
)
def test_a_headline_stands_where_the_server_draws_it(
    new_visitor: NewVisitor,
    rendering_server: Server,
    tmp_path: Path,
    text: str,
    position: Any,
    size: float,
) -> None:
    """Also beside a logo: it begins at such a share of the safe zone, and is as high as that."""
    page = new_visitor(rendering_server).open().page
    headline = Headline(text, position=position, background=GREEN, size=size)
    shown = {"text": text, "position": position, "color": "#ffffff", "background": GREEN}
    fonts, out = load_fonts(None), tmp_path / "text.png"
    for frame, logo in product(FORMATS.values(), LOGOS):
        zone = safe_zone(*frame)
        top, height = (round(share * zone.height) for share in logo)
        box = Box(zone.left, zone.top + top, 100, height) if height else None
        overlay = draw_headline(headline, frame, fonts, out, logo=box)
        wanted = list(astuple(overlay.box))
        beside = box and asdict(box)
        found = page.evaluate(DRAW, [shown | {"size": size}, frame, beside])
        assert found == pytest.approx(wanted, abs=0.012 * max(frame)), (frame, logo)
