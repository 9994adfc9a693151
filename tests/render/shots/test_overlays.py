"""A headline and a logo in one frame, as pixels."""

from itertools import product
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from jobserver.brief.model import Headline, Logo
from jobserver.render.settings import Settings
from jobserver.render.shots.overlays import Overlays
from jobserver.render.text import load_fonts, safe_zone

from .conftest import BLUE
from .support import appearance, frames

FRAMES = [(360, 640), (360, 450), (360, 360), (640, 360), (640, 272)]
TEXTS = ["Hi", "Half price today, and only until the end of the week"]


@pytest.fixture
def drawn(settings: Settings, tmp_path: Path):
    """Return a function that draws a logo of this shape, and headlines, for a frame."""

    def draw(frame, logo: Logo | None, *headlines: Headline, shape=(40, 20)):
        Image.new("RGB", shape, BLUE).save(tmp_path / "logo.png")
        files = {"logo.png": tmp_path / "logo.png"}
        maker = Overlays(tmp_path, files, load_fonts(), settings, cancel=None)
        wanted = [
            appearance(width=frame[0], height=frame[1], headline=each, logo=logo)
            for each in headlines
        ]
        return [[overlay for overlay, _ in maker.of(each)] for each in wanted]

    return draw


def pixels(overlay, frame):
    """Return where an overlay is seen in its frame, as a mask."""
    mask = Image.new("L", frame)
    with Image.open(overlay.path) as picture:
        assert picture.size == (overlay.box.width, overlay.box.height)
        mask.paste(picture.convert("RGBA").getchannel("A"), (overlay.box.left, overlay.box.top))
    return mask.point(lambda value: 255 * (value > 0))


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_no_pixel_of_a_headline_lies_over_a_logo(drawn, frame, corner):
    wanted = [
        Headline(text, position=position, size=size)
        for text, (position, size) in product(
            TEXTS, [("top", 0.05), ("middle", 0.05), ("middle", 0.3), ("bottom", 0.3)]
        )
    ]
    zone = safe_zone(*frame)
    for logo, headline in drawn(frame, Logo("logo.png", corner=corner), *wanted):
        below, above = pixels(logo, frame).getbbox(), pixels(headline, frame).getbbox()
        assert above[3] < below[1] or below[3] < above[1]
        assert zone.left - 1 <= above[0] < above[2] <= zone.left + zone.width + 1
        assert zone.top - 1 <= above[1] < above[3] <= zone.top + zone.height + 1


@pytest.mark.parametrize(("position", "corner"), [("top", "bottom-left"), ("bottom", "top-left")])
def test_a_logo_on_the_other_side_moves_no_headline(drawn, position, corner):
    [[_, beside]] = drawn((360, 640), Logo("logo.png", corner=corner), Headline("Hi", position))
    [[alone]] = drawn((360, 640), None, Headline("Hi", position))
    assert beside.box == alone.box


def test_a_headline_in_the_middle_stays_there_unless_it_would_reach_the_logo(drawn):
    short, long = Headline("Hi", "middle"), Headline("Half price\n" * 8, "middle")
    with_logo = drawn((360, 640), Logo("logo.png", width=0.3), short, long)
    alone = drawn((360, 640), None, short, long)
    assert with_logo[0][1].box == alone[0][0].box
    assert with_logo[1][1].box.top > alone[1][0].box.top


@pytest.mark.parametrize(("height", "moved"), [(40, True), (70, False)])
def test_a_logo_that_leaves_too_little_is_drawn_over(drawn, height, moved):
    """It takes this part, of a hundred, of the height of the safe zone."""
    zone = safe_zone(360, 360)
    logo = Logo("logo.png", width=zone.width / 360)
    [[_, headline]] = drawn((360, 360), logo, Headline("Hi"), shape=(100, height))
    assert (headline.box.top > zone.top + 2) == moved


def test_a_logo_is_seen_whole_in_a_shot_with_a_headline(shots, tmp_path):
    """By default both are at the top."""
    Image.new("RGB", (40, 20), BLUE).save(tmp_path / "logo.png")
    logo = Logo("logo.png")
    wanted = [
        appearance(width=360, height=640, seconds=0.04, logo=logo, headline=headline)
        for headline in (None, Headline(TEXTS[1]))
    ]
    files = shots("silent", *wanted, overlays={"logo.png": tmp_path / "logo.png"})
    zone = safe_zone(360, 640)
    box = (zone.left + zone.width - 52, zone.top + 2, zone.left + zone.width - 2, zone.top + 24)
    plain, covered = (
        Image.frombytes("RGB", (360, 640), frames(file.path, 360, 640)[0].pixels) for file in files
    )
    logo_alone = Image.new("RGB", (50, 22), BLUE)
    assert furthest(plain.crop(box), logo_alone) < 12
    assert furthest(covered.crop(box), logo_alone) < 12
    assert furthest(plain, covered) > 50  # there is a headline


def furthest(one, other):
    """Return the largest difference of two pictures in any channel."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema())
