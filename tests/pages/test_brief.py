"""The brief in the upload form: roles of files, fields, live pictures."""

import io
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from jobserver.brief.model import Part, Sources
from jobserver.brief.parse import parse
from tests.pages.visitor import Visitor
from tests.support import wait_for

pytestmark = pytest.mark.browser

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(name: str, color: tuple[int, int, int] = RED) -> dict:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(file, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": file.getvalue()}


def music(name: str) -> dict:
    return {"name": name, "mimeType": "audio/mpeg", "buffer": b"ID3".ljust(64, b"\0")}


def clip(name: str, path: Path) -> dict:
    return {"name": name, "mimeType": "video/mp4", "buffer": path.read_bytes()}


def role_of(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_label(f"What {name} is")


def brief_of(visitor: Visitor) -> dict:
    """The brief as the page would send it."""
    script = 'async () => (await import(location.origin + "/static/brief/brief.js")).read()'
    return visitor.page.evaluate(script)


@pytest.fixture
def briefing(visitor: Visitor, clips: list[Path]) -> Visitor:
    """A visitor who has chosen one video and wants a brief."""
    visitor.choose(clips[0])
    visitor.page.get_by_label("Use a brief").check()
    visitor.wait_for_videos("#chosen video")
    return visitor


# -- roles -----------------------------------------------------------------------------


def test_the_brief_is_folded_away_until_it_is_wanted(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clips[0])
    for hidden in ("#brief", "#brief-side", "#add-parts", "#chosen select"):
        expect(visitor.page.locator(hidden)).to_be_hidden()
    visitor.page.get_by_label("Use a brief").check()
    expect(visitor.page.locator("#brief")).to_be_visible()
    expect(visitor.page.get_by_label("Looks of each")).to_have_value("0")
    visitor.page.get_by_label("Use a brief").uncheck()
    expect(visitor.page.locator("#brief")).to_be_hidden()
    expect(visitor.page.get_by_label("Variations each")).to_have_value("5")


def test_each_kind_of_file_gets_a_role_and_a_picture_a_choice(
    visitor: Visitor, clips: list[Path]
) -> None:
    visitor.choose(clip("a.mp4", clips[0]), picture("card.png"), music("song.mp3"))
    expect(visitor.page.get_by_label("Use a brief")).to_be_checked()
    roles = {
        name: role_of(visitor, name).locator("option").all_text_contents()
        for name in ("a.mp4", "card.png", "song.mp3")
    }
    assert roles == {
        "a.mp4": ["Hook", "Main clip", "End card"],
        "card.png": ["End card", "Logo"],
        "song.mp3": ["Music"],
    }
    expect(role_of(visitor, "card.png")).to_have_value("ending")
    expect(role_of(visitor, "song.mp3")).to_be_disabled()


def test_a_role_is_chosen_by_keyboard_and_the_row_keeps_the_focus(
    briefing: Visitor, clips: list[Path]
) -> None:
    briefing.choose(clips[1])
    role_of(briefing, "close-up.mp4").focus()
    briefing.page.keyboard.press("ArrowUp")
    expect(role_of(briefing, "close-up.mp4")).to_have_value("hook")
    expect(role_of(briefing, "close-up.mp4")).to_be_focused()
    assert briefing.chosen_names() == ["close-up.mp4", "hero.mp4"]


def test_a_button_of_a_role_adds_files_with_it(briefing: Visitor, clips: list[Path]) -> None:
    with briefing.page.expect_file_chooser() as chooser:
        briefing.button("+ Hooks").click()
    chooser.value.set_files([clip("hook.mp4", clips[1]), picture("card.png")])
    briefing.wait_for_checks()
    expect(role_of(briefing, "hook.mp4")).to_have_value("hook")
    briefing.sees("card.png was not added; it cannot be a hook.")


def test_without_the_brief_only_main_clips_are_used(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clip("a.mp4", clips[0]), picture("card.png"))
    visitor.page.get_by_label("Use a brief").uncheck()
    visitor.sees("End card: only a brief uses it")
    visitor.sees("5 variations of 1 video")
    visitor.upload(variations=1)
    visitor.wait_for_status("completed")


# -- fields ------------------------------------------------------------------------------

FULL = {
    "formats": ["9:16", "source"],
    "fit": "crop",
    "focus": [0.25, 0.75],
    "size": 720,
    "hooks": ["hook.mp4", None],
    "stillSeconds": 1.5,
    "lengths": ["full", 6, 15],
    "speeds": [1, 1.25],
    "fps": 25,
    "mirror": [False, True],
    "headlines": [
        {
            "text": "Half price\ntoday",
            "position": "bottom",
            "color": "#ffee00",
            "background": "#00000080",
            "size": 0.06,
            "from": 0.5,
            "to": 2,
        },
        {
            "text": "New",
            "position": "middle",
            "color": "#ffffff",
            "background": None,
            "size": 0.05,
        },
        None,
    ],
    "logo": {"overlay": "logo.png", "corner": "bottom-left", "width": 0.2, "opacity": 0.8},
    "loudness": -16,
    "musicVolume": -9,
    "combine": 12,
    "exclude": [{"hook": "hook.mp4", "format": "source"}],
    "name": "{video}_{n}",
}


def test_the_form_shows_any_brief_and_says_the_same_again(
    briefing: Visitor, clips: list[Path]
) -> None:
    briefing.choose(
        clip("hook.mp4", clips[1]), picture("card.png"), picture("logo.png"), music("song.mp3")
    )
    role_of(briefing, "hook.mp4").select_option("hook")
    role_of(briefing, "logo.png").select_option("overlay")
    script = """async (brief) =>
        (await import(location.origin + "/static/brief/brief.js")).write(brief)"""
    briefing.page.evaluate(script, FULL)
    assert brief_of(briefing) == FULL
    names = {"videos": ["hero.mp4"], "hooks": ["hook.mp4"], "endings": ["card.png"]}
    names |= {"overlays": ["logo.png"], "music": ["song.mp3"]}
    sources = Sources(**{role: tuple(map(Part, each)) for role, each in names.items()})
    assert parse(brief_of(briefing), sources).logo
    briefing.page.evaluate(script, {})
    assert brief_of(briefing).keys() == {"fit", "logo"}


def test_what_is_hidden_because_of_another_field_is_not_said(briefing: Visitor) -> None:
    page = briefing.page
    page.get_by_label("a colour behind it").check()
    page.get_by_label("Colour behind", exact=True).fill("#ff0000")
    page.get_by_label("Make", exact=True).select_option("a balanced sample of …")
    page.get_by_label("Videos of each main clip").fill("7")
    assert brief_of(briefing) == {"fit": "pad", "padColor": "#ff0000", "combine": 7}
    page.get_by_label("the clip, blurred").check()
    page.get_by_label("Make", exact=True).select_option("all combinations")
    expect(page.get_by_label("Colour behind", exact=True)).to_be_hidden()
    assert brief_of(briefing) == {"fit": "blur"}


def test_headlines_are_added_and_removed(briefing: Visitor) -> None:
    page = briefing.page
    page.get_by_label("Text").fill("One")
    briefing.button("Add a headline").click()
    expect(page.get_by_label("Text").nth(1)).to_be_focused()
    page.keyboard.type("Two")
    page.get_by_label("also without a headline").check()
    assert [each and each["text"] for each in brief_of(briefing)["headlines"]] == [
        "One",
        "Two",
        None,
    ]
    briefing.button("Remove headline 1").click()
    expect(briefing.heading("Headline 1")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("Two")
    expect(page.locator("#add-headline")).to_be_focused()


# -- pictures ----------------------------------------------------------------------------


def pixel(canvas: Locator, x: float, y: float) -> tuple[int, ...]:
    """The colour of a canvas at a place, both 0..1 of its sides."""
    script = """(canvas, [x, y]) => {
        const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, -x * canvas.width, -y * canvas.height);
        return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }"""
    return tuple(canvas.evaluate(script, [x, y]))


def is_near(color: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(one - two) < 40 for one, two in zip(color, other, strict=True))


def wait_for_pixel(canvas: Locator, place: tuple[float, float], color: tuple[int, ...]) -> None:
    wait_for(lambda: is_near(pixel(canvas, *place), color), 10, f"{color} at {place}")


def tile(visitor: Visitor, format_: str) -> Locator:
    return visitor.page.locator(f'canvas[data-format="{format_}"]')


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of red on the left and blue on the right, 1280 x 720."""
    path = tmp_path_factory.mktemp("halves") / "halves.mp4"
    sides = [f"color={name}:s=640x720:d=1:r=10" for name in ("red", "blue")]
    inputs = [word for side in sides for word in ("-f", "lavfi", "-i", side)]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
    encoding = ["-filter_complex", "hstack", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([*ffmpeg, *inputs, *encoding, path], check=True, timeout=60)
    return path


@pytest.fixture
def previewing(visitor: Visitor, halves: Path) -> Visitor:
    """A visitor who sees the two halves in each format."""
    visitor.choose(halves)
    visitor.page.get_by_label("Use a brief").check()
    visitor.wait_for_videos("#chosen video")
    wait_for_pixel(tile(visitor, "source"), (0.1, 0.5), RED)
    return visitor


def test_each_format_is_shown_as_it_will_be(previewing: Visitor) -> None:
    upright = tile(previewing, "9:16")
    assert upright.evaluate("each => each.width / each.height") == pytest.approx(9 / 16, abs=0.02)
    wait_for_pixel(upright, (0.1, 0.5), RED)
    wait_for_pixel(upright, (0.05, 0.05), RED)  # itself, blurred, behind it
    previewing.page.get_by_label("a colour behind it").check()
    previewing.page.get_by_label("Colour behind", exact=True).fill("#00ff00")
    wait_for_pixel(upright, (0.1, 0.05), (0, 255, 0))
    previewing.page.get_by_label("Mirrored").select_option("yes")
    wait_for_pixel(upright, (0.1, 0.5), BLUE)


def test_the_focus_is_chosen_by_a_click_or_by_keyboard(previewing: Visitor) -> None:
    page = previewing.page
    previewing.page.get_by_label("cut what does not fit").check()
    square = tile(previewing, "1:1")
    wait_for_pixel(square, (0.05, 0.5), RED)
    wait_for_pixel(square, (0.95, 0.5), BLUE)
    box = page.locator("#focus").bounding_box()
    assert box
    page.locator("#focus").click(position={"x": box["width"] * 0.9, "y": box["height"] / 2})
    wait_for_pixel(square, (0.3, 0.5), BLUE)
    assert brief_of(previewing)["focus"] == [0.9, 0.5]
    page.get_by_label("Across").focus()
    page.keyboard.press("Home")
    wait_for_pixel(square, (0.7, 0.5), RED)


def test_a_headline_is_shown_inside_the_safe_zone_of_its_format(previewing: Visitor) -> None:
    """At the top of 9:16 lie 15 % that apps draw over."""
    page = previewing.page
    page.get_by_label("Text").fill("Half price")
    page.get_by_label("Plate", exact=True).fill("#00ff00")
    page.get_by_text("Size, time, opacity").click()
    page.get_by_label("Opacity", exact=True).fill("1")
    page.get_by_label("9:16 upright").check()
    expect(page.locator("#preview-format")).to_have_value("9:16")
    preview = page.locator("#preview")
    wait_for_pixel(preview, (0.5, 0.155), (0, 255, 0))
    assert not is_near(pixel(preview, 0.5, 0.13), (0, 255, 0))
    page.get_by_label("on a plate").uncheck()
    wait_for(lambda: not is_near(pixel(preview, 0.5, 0.155), (0, 255, 0)), 10, "no plate")


def test_a_logo_is_shown_in_its_corner(previewing: Visitor) -> None:
    previewing.choose(picture("logo.png", (0, 255, 0)))
    role_of(previewing, "logo.png").select_option("overlay")
    wait_for_pixel(tile(previewing, "source"), (0.9, 0.1), (0, 255, 0))
    previewing.page.get_by_label("Corner").select_option("bottom, left")
    wait_for_pixel(tile(previewing, "source"), (0.1, 0.9), (0, 255, 0))


def test_a_headline_is_shown_below_a_logo_at_the_top(previewing: Visitor) -> None:
    page, preview = previewing.page, previewing.page.locator("#preview")
    previewing.choose(picture("logo.png", (0, 255, 0)))
    role_of(previewing, "logo.png").select_option("overlay")
    page.get_by_label("Text").fill("Half price today, and only until the end of the week")
    page.get_by_label("Plate", exact=True).fill("#ffff00")
    page.get_by_text("Size, time, opacity").click()
    page.get_by_label("Opacity", exact=True).fill("1")
    wait_for_pixel(preview, (0.87, 0.3), (0, 255, 0))  # it ends at 0.317, the plate begins at 0.337
    wait_for_pixel(preview, (0.5, 0.345), (255, 255, 0))
    assert not is_near(pixel(preview, 0.5, 0.07), (255, 255, 0))


def test_a_window_that_becomes_narrow_does_not_scroll_sideways(previewing: Visitor) -> None:
    previewing.page.set_viewport_size({"width": 900, "height": 800})
    previewing.page.get_by_label("Mirrored").select_option("yes")  # drawn again, wider than below
    wait_for_pixel(tile(previewing, "source"), (0.1, 0.5), BLUE)
    previewing.page.set_viewport_size({"width": 360, "height": 640})
    assert previewing.page.evaluate("document.documentElement.scrollWidth") <= 360
    box = previewing.page.locator("#preview").bounding_box()
    assert box
    assert box["width"] / box["height"] == pytest.approx(16 / 9, abs=0.02)
