"""Comparing a variation with its source: in its place, by keys, and without a decoder for it."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from playwright.sync_api import Locator, expect

from tests.pages.conftest import NewVisitor
from tests.pages.visitor import Visitor
from tests.support import Server, wait_for

pytestmark = pytest.mark.browser


# Keeps in `shown` the times of the frames that the two players show.
RECORD_FRAMES = """() => {
    window.shown = [];
    for (const [index, video] of document.querySelectorAll("#compare video").entries()) {
        const record = (_, { mediaTime }) => {
            shown[index] = mediaTime;
            video.requestVideoFrameCallback(record);
        };
        video.requestVideoFrameCallback(record);
    }
}"""


def encode(path: Path, size: str, *words: str) -> Path:
    """Make a second of moving picture with ffmpeg; words: options of the output."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
    picture, sound = ("-f", "lavfi", "-i", f"testsrc2=s={size}:d=1"), ("-f", "lavfi", "-i", "sine")
    command = [*ffmpeg, *picture, *sound, "-pix_fmt", "yuv420p", "-shortest", *words, path]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def job_id(browser, rendering_server: Server, clips: list[Path]) -> str:
    """A completed job with three variations of one video."""
    visitor = Visitor(browser, f"http://127.0.0.1:{rendering_server.port}")
    job_id = visitor.open_signed_in().choose(clips[0]).upload(variations=3)
    visitor.wait_for_status("completed")
    visitor.close()
    return job_id


def compare(visitor: Visitor, variation: int = 1) -> Locator:
    """Open the dialog; return it."""
    visitor.page.get_by_role("button", name=f"Play variation {variation} of").click()
    dialog = visitor.page.locator("#compare")
    expect(dialog).to_be_visible()
    return dialog


@pytest.fixture
def comparing(new_visitor: NewVisitor, rendering_server: Server, job_id: str) -> Visitor:
    """A visitor who compares variation 1 with its source."""
    visitor = new_visitor(rendering_server).open_signed_in(f"/jobs/{job_id}")
    compare(visitor)
    visitor.wait_for_videos("#compare video")
    return visitor


def place(visitor: Visitor, selector: str) -> list[float]:
    box = visitor.page.locator(selector).bounding_box()
    assert box
    return [round(box[side], 1) for side in ("x", "y", "width", "height")]


def is_source_in_place(visitor: Visitor, source: str = "#compare-source") -> bool:
    """Whether the source covers the variation, and is what lies on top there."""
    spot = place(visitor, "#compare-output")
    covers = place(visitor, source) == spot
    x, y, width, height = spot
    top = "([x, y]) => '#' + document.elementFromPoint(x, y)?.id"
    on_top = visitor.page.evaluate(top, [x + width / 2, y + height / 2])
    assert covers == (on_top == source)
    return covers


@pytest.mark.parametrize("width", [1280, 360])
def test_the_source_is_in_the_place_of_the_variation_while_the_button_is_held(
    comparing: Visitor, width: int
) -> None:
    page, button = comparing.page, comparing.button("Show the source here")
    page.set_viewport_size({"width": width, "height": 800})
    before = place(comparing, "#compare-source")
    button.scroll_into_view_if_needed()
    button.hover()
    page.mouse.down()
    assert is_source_in_place(comparing)
    expect(page.locator("#compare-output-name")).to_have_text("Source")
    page.mouse.move(5, 5)
    assert is_source_in_place(comparing)
    page.mouse.up()
    assert not is_source_in_place(comparing)
    expect(page.locator("#compare-output-name")).to_contain_text("Variation 1")
    assert place(comparing, "#compare-source")[2:] == before[2:]


def test_the_source_is_in_the_place_of_the_variation_while_a_key_is_held(
    comparing: Visitor,
) -> None:
    comparing.page.keyboard.down("s")
    comparing.page.keyboard.down("s")  # as a held key repeats
    assert is_source_in_place(comparing)
    comparing.page.keyboard.up("s")
    assert not is_source_in_place(comparing)
    comparing.page.keyboard.down("S")
    comparing.page.evaluate("() => dispatchEvent(new Event('blur'))")
    assert not is_source_in_place(comparing)


def test_the_button_can_be_switched_with_the_keyboard(comparing: Visitor) -> None:
    button = comparing.button("Show the source here")
    for key, pressed in (("Enter", "true"), ("Enter", "false"), (" ", "true")):
        button.press(key)
        expect(button).to_have_attribute("aria-pressed", pressed)
        assert is_source_in_place(comparing) == (pressed == "true")
    comparing.page.keyboard.press("ArrowRight")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_paused_source_shows_the_moment_of_the_variation(comparing: Visitor) -> None:
    output, source = (comparing.page.locator(f"#compare-{name}") for name in ("output", "source"))
    for moment in (0.52, 0.56, 0.08):  # less apart than what a playing source may drift
        output.evaluate("(video, moment) => { video.currentTime = moment; }", moment)
        expect(source).to_have_js_property("currentTime", moment)


def test_videos_that_are_paused_while_they_play_show_the_same_frame(comparing: Visitor) -> None:
    comparing.page.evaluate(RECORD_FRAMES)
    for _ in range(6):  # without a seek, one or two of them differ
        comparing.page.locator("#compare-output").evaluate("video => { video.currentTime = 0; }")
        comparing.wait_for_videos("#compare video")
        comparing.play_to("#compare-output", 0.3)
        comparing.wait_for_videos("#compare video")
        wait_for(lambda: len(set(comparing.page.evaluate("() => shown"))) == 1, what="one frame")


def test_the_arrow_keys_go_to_the_other_variations(comparing: Visitor) -> None:
    for key, number in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowRight", 1), ("ArrowLeft", 3)):
        comparing.page.keyboard.press(key)
        expect(comparing.page.locator("#compare-title")).to_have_text(
            f"Variation {number} of hero.mp4"
        )
    comparing.page.locator("#compare-output").click()
    comparing.page.keyboard.press("ArrowRight")
    expect(comparing.page.locator("#compare-title")).to_have_text("Variation 1 of hero.mp4")


def test_the_arrow_keys_belong_to_the_player_that_was_reached_by_keyboard(
    comparing: Visitor,
) -> None:
    for _ in ("Close", "Show the source here", "the player"):
        comparing.page.keyboard.press("Tab")
    expect(comparing.page.locator("#compare-output")).to_be_focused()
    comparing.page.keyboard.press("ArrowRight")
    expect(comparing.page.locator("#compare-title")).to_have_text("Variation 1 of hero.mp4")


@pytest.mark.parametrize("sound", ["-an", "-c:a"])
def test_a_source_that_the_browser_cannot_decode_is_shown_as_a_still(
    visitor: Visitor, tmp_path: Path, sound: str
) -> None:
    """HEVC, alone and with sound that the browser could play without the picture."""
    words = ("-an",) if sound == "-an" else ("-c:a", "aac")
    codec = ("-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    visitor.choose(encode(tmp_path / "phone.mp4", "180x320", *codec, *words)).upload(variations=2)
    visitor.wait_for_status("completed")
    dialog, page = compare(visitor), visitor.page
    for _ in range(2):
        visitor.wait_for_videos("#compare-output")
        expect(dialog.locator("#compare-still")).to_have_js_property("naturalWidth", 320)
        expect(dialog.locator("#compare-source")).to_be_hidden()
        visitor.sees("Source, as a small still: this browser cannot play the video")
        page.keyboard.down("s")
        assert is_source_in_place(visitor, "#compare-still")
        page.keyboard.up("s")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")


def shown_ratio(picture: Locator) -> float:
    """Return width / height of an image on the page, after it has loaded; nothing is cut off."""
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    box, frame = (each.bounding_box() for each in (picture, picture.locator("..")))
    assert box
    assert frame
    for start, side in (("x", "width"), ("y", "height")):
        assert box[start] >= frame[start] - 0.5
        assert box[start] + box[side] <= frame[start] + frame[side] + 0.5
    natural = picture.evaluate("img => img.naturalWidth / img.naturalHeight")
    assert box["width"] / box["height"] == pytest.approx(natural, rel=0.05)
    return natural


def test_an_upright_video_keeps_its_shape_everywhere(visitor: Visitor, tmp_path: Path) -> None:
    visitor.choose(encode(tmp_path / "story.mp4", "180x320", "-an"))
    preview = visitor.page.locator("#chosen video")
    expect(preview).to_have_css("object-fit", "contain")
    visitor.upload(variations=2)
    visitor.wait_for_status("completed")
    for picture in visitor.page.locator(".file img").all():
        assert shown_ratio(picture) == pytest.approx(9 / 16, rel=0.01)
    frame = visitor.page.locator(".play .frame").first.bounding_box()
    assert frame
    assert frame["width"] / frame["height"] == pytest.approx(9 / 16, rel=0.05)
    compare(visitor)
    visitor.wait_for_videos("#compare video")
    for name in ("output", "source"):
        _, _, width, height = place(visitor, f"#compare-{name}")
        assert width / height == pytest.approx(9 / 16, rel=0.02)
    assert place(visitor, "#compare-output-name")[0] == place(visitor, "#compare-output")[0]
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    expect(row).to_contain_text("story.mp4")
    assert shown_ratio(row.locator("img")) == pytest.approx(9 / 16, rel=0.01)


def test_pictures_of_several_videos_lie_side_by_side_in_the_list(
    visitor: Visitor, clips: list[Path], tmp_path: Path
) -> None:
    """Of the first a strip is shown, also where an upright one after it leaves room for more."""
    upright = encode(tmp_path / "story.mp4", "180x320", "-an")
    visitor.choose(clips[0], upright).upload(variations=1)
    visitor.wait_for_status("completed")
    visitor.page.get_by_role("link", name="All jobs").click()
    pictures = visitor.page.locator("#jobs > li").first.locator("img")
    expect(pictures).to_have_count(2)
    assert shown_ratio(pictures.last) == pytest.approx(9 / 16, rel=0.01)
    strip, frame = (each.locator("..") for each in (pictures.first, pictures.last))
    expect(strip).to_have_css("overflow", "hidden")
    picture_box, frame_box = pictures.last.bounding_box(), frame.bounding_box()
    assert picture_box
    assert frame_box
    assert frame_box["width"] == pytest.approx(picture_box["width"], abs=1)


@pytest.mark.parametrize("size", ["320x180", "180x320"])
def test_the_comparison_fits_a_small_laptop_without_scrolling(
    visitor: Visitor, tmp_path: Path, size: str
) -> None:
    visitor.page.set_viewport_size({"width": 1280, "height": 650})
    visitor.choose(encode(tmp_path / "clip.mp4", size, "-an")).upload(variations=2)
    visitor.wait_for_status("completed")
    dialog = compare(visitor)
    visitor.wait_for_videos("#compare video")
    assert dialog.evaluate("dialog => dialog.scrollHeight - dialog.clientHeight") == 0
    tops = [place(visitor, f"#compare-{name}")[1] for name in ("output", "source")]
    assert tops[0] == tops[1]
