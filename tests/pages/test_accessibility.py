"""Accessibility: keyboard only, screen readers (axe-core), small screens, reduced motion."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import NewVisitor
from tests.pages.relay import Relay
from tests.pages.test_brief import picture, role_of
from tests.pages.test_upload import start_paused_upload
from tests.pages.visitor import Visitor, damaged_mp4
from tests.support import PASSWORD, Server

pytestmark = pytest.mark.browser

AXE = Path(sys.prefix) / "axe.min.js"  # the Makefile fetches it


def check_views(visitor: Visitor, check: Callable[[Visitor, str], None], clips: list[Path]) -> None:
    """Go through every view and call `check` on each."""
    visitor.open()
    check(visitor, "sign-in")
    visitor.sign_in("wrong")
    visitor.sees("Wrong password.")
    check(visitor, "sign-in, wrong password")
    visitor.sign_in()
    visitor.button("Sign out").wait_for()
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
    visitor.choose(*clips, notes)
    visitor.page.get_by_text("repeating an earlier result").click()
    check(visitor, "home, with chosen and rejected files")
    visitor.choose(picture("card.png"), picture("logo.png"))
    role_of(visitor, "logo.png").select_option("overlay")
    visitor.page.get_by_label("Text").fill("Half price")
    for field in ("9:16 upright", "cut what does not fit", "on a plate"):
        visitor.page.get_by_label(field).check()
    visitor.page.get_by_text("Size, time, opacity").click()
    check(visitor, "home, with a brief")
    visitor.page.get_by_label("Use a brief").uncheck()
    visitor.choose(damaged_mp4("a-name-" * 20 + ".mp4", 1024)).upload(variations=2)
    visitor.wait_for_status("partly completed")
    check(visitor, "job")
    visitor.button("Play variation 1 of hero.mp4").click()
    visitor.page.get_by_text("Exact parameters").click()
    check(visitor, "compare")
    visitor.page.keyboard.press("Escape")
    visitor.button("Delete").click()
    check(visitor, "confirm")
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("link", name="All jobs").click()
    visitor.page.locator("#jobs > li").first.wait_for()
    check(visitor, "home, with jobs")
    visitor.page.get_by_role("link", name="Keys").click()
    visitor.sees("There are no keys.")
    check(visitor, "keys")
    visitor.open("/jobs/none")
    visitor.sees("Job not found")
    check(visitor, "job not found")


def findings(visitor: Visitor) -> list[str]:
    """Return the serious and critical findings of axe-core, in light and in dark mode."""
    found = []
    visitor.page.evaluate(AXE.read_text())
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        report = visitor.page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
        found += [
            f"{scheme}: {rule['id']} ({rule['impact']}): {node['html'][:200]} {node['any'][:1]}"
            for rule in report["violations"]
            for node in rule["nodes"]
            if rule["impact"] in ("serious", "critical")
        ]
    return found


def test_the_description_of_the_api_is_accessible_and_fits_a_phone(
    new_visitor: NewVisitor, rendering_server: Server
) -> None:
    visitor = new_visitor(rendering_server, viewport={"width": 360, "height": 700})
    visitor.open("/api/docs")
    expect(visitor.page.get_by_role("heading", name="POST /api/jobs", exact=True)).to_be_visible()
    assert findings(visitor) == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_axe_finds_no_serious_problem_in_any_view_in_light_or_dark(
    new_visitor: NewVisitor, rendering_server: Server, clips: list[Path]
) -> None:
    found: dict[str, list[str]] = {}

    def check(visitor: Visitor, view: str) -> None:
        visitor.wait_for_responses()
        found[view] = findings(visitor)

    check_views(new_visitor(rendering_server), check, clips)
    assert len(found) == 10
    assert {view: list_ for view, list_ in found.items() if list_} == {}


def test_axe_finds_no_serious_problem_during_an_upload_or_while_a_job_is_queued(
    new_visitor: NewVisitor, idle_server: Server, relay: Relay, big_file: Path
) -> None:
    visitor = new_visitor(idle_server, port=relay.port).open_signed_in()
    start_paused_upload(visitor, relay, big_file)
    assert findings(visitor) == []
    relay.resume()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    visitor.sees("No worker is running; the job waits until one is started.")
    assert findings(visitor) == []


def test_no_view_scrolls_sideways_on_a_small_screen(
    new_visitor: NewVisitor, rendering_server: Server, clips: list[Path]
) -> None:
    widths: dict[str, int] = {}

    def check(visitor: Visitor, view: str) -> None:
        script = """() => Math.max(document.documentElement.scrollWidth,
            ...[...document.querySelectorAll("dialog[open]")].map(dialog => dialog.scrollWidth))"""
        widths[view] = visitor.page.evaluate(script)

    check_views(new_visitor(rendering_server, viewport={"width": 360, "height": 640}), check, clips)
    assert len(widths) == 10
    assert max(widths.values()) <= 360, widths


def tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until `name` has the focus, at most 40 times."""
    for _ in range(40):
        if visitor.focused_text().startswith(name):
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} never got the focus; {visitor.focused_text()!r} has it")


def test_everything_can_be_done_with_the_keyboard_alone(
    new_visitor: NewVisitor, rendering_server: Server, clips: list[Path]
) -> None:
    visitor = new_visitor(rendering_server).open()
    keyboard = visitor.page.keyboard
    expect(visitor.page.get_by_label("Password")).to_be_focused()
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    expect(visitor.heading("New job")).to_be_focused()
    tab_to(visitor, "Choose videos")
    with visitor.page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files(clips)
    tab_to(visitor, "Remove hero.mp4")
    keyboard.press("Enter")
    tab_to(visitor, "variations")
    keyboard.type("2")
    tab_to(visitor, "Start")
    keyboard.press("Enter")
    visitor.page.wait_for_url(re.compile("/jobs/"))
    expect(visitor.page.locator("#job-title")).to_be_focused()
    visitor.wait_for_status("completed")
    tab_to(visitor, "Play variation 1 of close-up.mp4")
    keyboard.press("Enter")
    expect(visitor.heading("Variation 1 of close-up.mp4")).to_be_focused()
    keyboard.press("Escape")
    assert visitor.focused_text() == "Play variation 1 of close-up.mp4"
    keyboard.press("Shift+Tab")
    assert visitor.focused_text() == "Compare with each other"
    keyboard.press("Shift+Tab")
    expect(visitor.page.get_by_label("Show", exact=True)).to_be_focused()
    keyboard.press("Shift+Tab")
    assert visitor.focused_text() == "Delete"
    keyboard.press("Enter")
    expect(visitor.button("Keep")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(visitor.heading("New job")).to_be_focused()


def test_screen_readers_announce_what_happens(visitor: Visitor, clips: list[Path]) -> None:
    live_region = visitor.page.locator("#live-region")
    expect(live_region).to_have_attribute("role", "status")
    visitor.choose(clips[0])
    expect(live_region).to_have_text("1 file chosen")
    visitor.upload(variations=1)
    visitor.wait_for_status("completed")
    expect(live_region).to_have_text("hero.mp4: finished, 1 variation")


def test_nothing_is_animated_when_reduced_motion_is_requested(
    new_visitor: NewVisitor, rendering_server: Server
) -> None:
    visitor = new_visitor(rendering_server, reduced_motion="reduce").open_signed_in()
    durations = """() => [...document.querySelectorAll("*")]
        .map(element => getComputedStyle(element))
        .map(style => style.transitionDuration + style.animationDuration)"""
    assert set(visitor.page.evaluate(durations)) <= {"0s0s", "0s"}
