"""Headlines as pixels: where they lie, what they look like."""

import pytest
from PIL import Image, ImageChops

from jobserver.brief.model import Headline
from jobserver.brief.text import MAX_LINES
from jobserver.render.text import TextTooLong, draw_headline, load_fonts, safe_zone
from jobserver.render.text.safe_zones import LEAST_ZONE

FRAMES = [(1080, 1920), (1080, 1350), (1080, 1080), (1920, 1080), (360, 640), (640, 272)]
TEXTS = ["Hi", "Save 50 % today: only this week and never again, we promise", "x" * 500]


@pytest.fixture
def drawn(bundled, tmp_path):
    """Return a function that draws a headline: the picture, and its left and upper edge."""

    def draw(text, frame=(360, 640), fonts=bundled, **options):
        out = draw_headline(Headline(text, **options), frame, fonts, tmp_path / "headline.png")
        with Image.open(out.path) as picture:
            return picture.copy(), out.box.left, out.box.top

    return draw


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("text", "position"), [*zip(TEXTS, ["top", "middle", "bottom"], strict=True)]
)
def test_a_headline_keeps_to_the_safe_zone(drawn, frame, position, text):
    picture, left, top = drawn(text, frame, position=position)
    zone = safe_zone(*frame)
    assert left >= zone.left - 1
    assert top >= zone.top - 1
    assert left + picture.width <= zone.left + zone.width + 1
    assert top + picture.height <= zone.top + zone.height + 1
    assert [left % 2, top % 2, picture.width % 2, picture.height % 2] == [0, 0, 0, 0]


def test_positions_are_the_ends_and_the_middle_of_the_zone(drawn):
    zone = safe_zone(360, 640)
    tops = [drawn("Hi", position=position) for position in ("top", "middle", "bottom")]
    picture, _, first = tops[0]
    assert first == pytest.approx(zone.top, abs=1)
    assert tops[1][2] == pytest.approx(zone.top + (zone.height - picture.height) / 2, abs=1)
    assert tops[2][2] == pytest.approx(zone.top + zone.height - picture.height, abs=1)


def test_a_short_headline_is_in_the_middle_of_the_frame(drawn):
    """Although the safe zone of 9:16 is wider at the left."""
    picture, left, _ = drawn("Hi")
    assert left + picture.width / 2 == pytest.approx(180, abs=1)


def test_size_is_the_height_of_a_line(drawn):
    one, two = drawn("One", size=0.05)[0], drawn("One\ntwo", size=0.05)[0]
    assert two.height - one.height == pytest.approx(0.05 * 640, abs=2)


def test_letters_become_smaller_only_where_they_must(drawn):
    """A text that fits has the same letters as a short one; a long one has smaller ones."""
    lines = [drawn("x" * count, size=0.05)[0].height for count in (5, 100, 500)]
    assert lines[0] < lines[1] < 0.5 * 640
    assert lines[2] <= 0.5 * 640


def test_the_plate_lies_behind_the_text(drawn):
    picture, _, _ = drawn("Hi", background="#203040", color="#ff8000")
    middle = picture.height // 2
    assert picture.getpixel((4, middle)) == (0x20, 0x30, 0x40, 255)
    assert picture.getpixel((0, 0))[3] < 128  # its corners are round
    colours = picture.getcolors(picture.width * picture.height)
    assert {(0x20, 0x30, 0x40, 255), (0xFF, 0x80, 0, 255)} <= {colour for _, colour in colours}


def test_a_plate_may_be_seen_through_and_text_too(drawn):
    picture, _, _ = drawn("Hi", background="#00000080")
    assert picture.getpixel((4, picture.height // 2)) == (0, 0, 0, 0x80)
    picture, _, _ = drawn("Hi", background=None, color="#ffffff40")
    assert picture.getchannel("A").getextrema() == (0, 0x40)


def test_without_a_plate_what_is_transparent_has_the_colour_of_the_text(drawn):
    """Chroma is halved, so that the colour of what is beside a letter is mixed into it."""
    picture, _, _ = drawn("Hi", background=None, color="#ff8000")
    assert picture.convert("RGB").getcolors() == [(picture.width * picture.height, (255, 128, 0))]
    assert picture.getchannel("A").getextrema() == (0, 255)


def ink(picture):
    """Return the box of the letters of a picture without a plate."""
    return picture.getchannel("A").getbbox() if picture.mode == "RGBA" else picture.getbbox()


@pytest.mark.parametrize(
    ("font", "joined", "apart"),
    [
        ("arabic", "\u0633\u0644\u0627\u0645", "\u0633\u200c\u0644\u200c\u0627\u200c\u0645"),
        ("devanagari", "\u0936\u0915\u094d\u0924\u093f", "\u0936\u0915\u094d\u200c\u0924\u093f"),
    ],
)
def test_letters_are_joined(drawn, fonts_dir, font, joined, apart):
    fonts = load_fonts(fonts_dir(font))
    pictures = [drawn(text, fonts=fonts, background=None)[0] for text in (joined, apart)]
    assert ink(pictures[0])[2] < 0.95 * ink(pictures[1])[2]


@pytest.mark.parametrize("more", ["!", " \u05d0", " 12", "?)"])
def test_hebrew_is_read_from_the_right(drawn, fonts_dir, more):
    """What follows a word is at its left, so that the right ends of the two are the same."""
    fonts = load_fonts(fonts_dir("rubik"))
    word, longer = (
        drawn(text, fonts=fonts, background=None, size=0.1)[0].getchannel("A")
        for text in ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd" + more)
    )
    left, top, right, bottom = ink(word)
    end = longer.getbbox()[2]
    assert longer.getbbox()[0] < end - (right - left)
    assert alike(
        word.crop((left, top, right, bottom)),
        longer.crop((end - (right - left), top, end, bottom)),
    )


def alike(one, other):
    """Return whether two masks are the same but for the shades of their edges."""
    return sum(ImageChops.difference(one, other).histogram()[200:]) < 0.02 * one.width * one.height


def test_a_mark_stands_on_its_letter(drawn):
    """Also one that Unicode has no composed letter for: it adds height, not width."""
    plain, marked = (drawn(text, background=None)[0] for text in ("x", "x\u0304"))
    assert ink(marked)[2] == pytest.approx(ink(plain)[2], abs=1)
    assert ink(marked)[1] < ink(plain)[1]


def test_a_text_that_fits_at_no_size_is_refused(drawn):
    with pytest.raises(TextTooLong):
        drawn("\n".join("x" * 200), (64, 64))


def test_as_many_lines_as_a_brief_may_have_fit_beside_a_logo_and_in_a_tiny_source(drawn):
    text = "\n".join(["word"] * MAX_LINES)
    for width, height in ((360, 640), (360, 450), (360, 360), (640, 360)):
        zone = safe_zone(width, height)
        rest = int(zone.height * LEAST_ZONE) - 1
        picture, _, _ = drawn(text, (width, rest * height // zone.height))
        assert picture.height / MAX_LINES > 6
    drawn(text, (64, 64))


@pytest.mark.parametrize("text", ["'", "a:b,c;d[e]", "%{pts}", "\\", "%d", "{n}", "$(id)"])
def test_no_character_means_more_than_itself(drawn, text):
    picture, _, _ = drawn(text, background=None)
    assert ink(picture)


def test_equal_headlines_give_equal_bytes(bundled, tmp_path):
    outs = [tmp_path / name for name in ("a.png", "b.png")]
    for out in outs:
        draw_headline(Headline("Same"), (360, 640), bundled, out)
    one, other = (out.read_bytes() for out in outs)
    assert one == other


def test_a_frame_of_any_shape_has_a_zone():
    zones = [safe_zone(*frame) for frame in (*FRAMES, (2, 2), (4000, 100))]
    assert all(zone.width > 0 and zone.height > 0 for zone in zones)
    shares = [zone.height / frame[1] for zone, frame in zip(zones, FRAMES, strict=False)]
    assert [round(share, 2) for share in shares] == [0.5, 0.9, 0.9, 0.9, 0.5, 0.9]
