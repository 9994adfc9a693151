"""For everybody: keyboard alone, screen readers (axe-core), small screens, calm ones."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import Visit
from tests.pages.gate import Gate
from tests.pages.test_upload import begin
from tests.pages.visitor import Visitor
from tests.support import PASSWORD, Server

pytestmark = pytest.mark.browser

AXE = Path(sys.prefix) / "axe.min.js"  # fetched by make; see there


def check_views(visitor: Visitor, check: Callable[[Visitor, str], None], clips: list[Path]) -> None:
    """Go through every view and call `check` on each."""
    visitor.open()
    check(visitor, "sign-in")
    visitor.sign_in("wrong")
    visitor.sees("This is not the password.")
    check(visitor, "sign-in, refused")
    visitor.sign_in()
    visitor.button("Sign out").wait_for()
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
    visitor.choose(*clips, notes)
    visitor.page.get_by_text("Repeat an earlier result").click()
    check(visitor, "home, with chosen and refused files")
    zeros = {"name": "a-name-" * 20 + ".mp4", "mimeType": "video/mp4", "buffer": bytes(1024)}
    visitor.choose(zeros).send(variations=2)
    visitor.wait_until("partly completed")
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
    visitor.open("/jobs/none")
    visitor.sees("This job is not here")
    check(visitor, "no such job")


def findings(visitor: Visitor) -> list[str]:
    """Return what axe-core finds serious or critical, in light and in dark."""
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


def test_axe_finds_nothing_serious_in_any_view_light_or_dark(
    visit: Visit, studio: Server, clips: list[Path]
) -> None:
    found: dict[str, list[str]] = {}

    def check(visitor: Visitor, view: str) -> None:
        visitor.settle()
        found[view] = findings(visitor)

    check_views(visit(studio), check, clips)
    assert len(found) == 8
    assert {view: list_ for view, list_ in found.items() if list_} == {}


def test_axe_finds_nothing_serious_in_mid_upload_nor_while_a_job_waits(
    visit: Visit, quiet_server: Server, gate: Gate, big_file: Path
) -> None:
    visitor = visit(quiet_server, port=gate.port).enter()
    begin(visitor, gate, big_file)
    assert findings(visitor) == []
    gate.release()
    visitor.page.wait_for_url(re.compile("/jobs/"))
    visitor.sees("Waiting; it is next")
    assert findings(visitor) == []


def test_nothing_scrolls_sideways_on_a_small_screen(
    visit: Visit, studio: Server, clips: list[Path]
) -> None:
    widths: dict[str, int] = {}

    def check(visitor: Visitor, view: str) -> None:
        script = """() => Math.max(document.documentElement.scrollWidth,
            ...[...document.querySelectorAll("dialog[open]")].map(it => it.scrollWidth))"""
        widths[view] = visitor.page.evaluate(script)

    check_views(visit(studio, viewport={"width": 360, "height": 640}), check, clips)
    assert len(widths) == 8
    assert max(widths.values()) <= 360, widths


def tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until `name` has the focus, as often as a person would at most."""
    for _ in range(40):
        if visitor.focused().startswith(name):
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} is out of reach; the focus is on {visitor.focused()!r}")


def test_the_whole_way_needs_no_mouse(visit: Visit, studio: Server, clips: list[Path]) -> None:
    visitor = visit(studio).open()
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
    visitor.wait_until("completed")
    tab_to(visitor, "Play variation 1 of close-up.mp4")
    keyboard.press("Enter")
    expect(visitor.heading("Variation 1 of close-up.mp4")).to_be_focused()
    keyboard.press("Escape")
    assert visitor.focused() == "Play variation 1 of close-up.mp4"
    keyboard.press("Shift+Tab")
    assert visitor.focused() == "Delete"
    keyboard.press("Enter")
    expect(visitor.button("Keep")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(visitor.heading("New job")).to_be_focused()


def test_what_happens_is_told_politely(visitor: Visitor, clips: list[Path]) -> None:
    live = visitor.page.locator("#live")
    expect(live).to_have_attribute("role", "status")
    visitor.choose(clips[0])
    expect(live).to_have_text("1 video chosen")
    visitor.send(variations=1)
    visitor.wait_until("completed")
    expect(live).to_have_text("hero.mp4: finished, 1 variation")


def test_nothing_moves_for_those_who_asked_for_calm(visit: Visit, studio: Server) -> None:
    visitor = visit(studio, reduced_motion="reduce").enter()
    durations = """() => [...document.querySelectorAll("*")].map(it =>
        getComputedStyle(it).transitionDuration + getComputedStyle(it).animationDuration)"""
    assert set(visitor.page.evaluate(durations)) <= {"0s0s", "0s"}
