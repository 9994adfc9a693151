"""The results of a job with a brief: parts and their states, groups, filters, what failed."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.test_brief import clip, picture, role_of
from tests.pages.visitor import RENDER_TIMEOUT_MS, Visitor, damaged_mp4

pytestmark = pytest.mark.browser


def test_results_are_grouped_and_filtered_and_say_what_failed(
    visitor: Visitor, clips: list[Path]
) -> None:
    """One of two hooks is broken: its half of four videos fails, with a reason."""
    page = visitor.page
    hooks = [clip("good.mp4", clips[1]), damaged_mp4("broken.mp4", 1024)]
    visitor.choose(clip("hero.mp4", clips[0]), *hooks, picture("card.png"))
    for hook in hooks:
        role_of(visitor, hook["name"]).select_option("hook")
    for label in ("9:16 upright", "1:1 square"):
        page.get_by_label(label).check()
    page.get_by_label("Short side, pixels").fill("360")
    visitor.sees("This makes 4 videos.")
    visitor.button("Start").click()
    expect(visitor.job_state()).to_have_text("partly completed", timeout=RENDER_TIMEOUT_MS)

    parts = page.locator("#job-sources > li")
    expect(parts).to_have_count(4)
    expect(parts.filter(has_text="broken.mp4")).to_contain_text("failed")
    expect(page.locator("#job-failed-title")).to_have_text("2 videos could not be made")
    expect(page.locator("#job-failed-reasons > li")).to_have_count(1)

    expect(page.locator(".output")).to_have_count(2)
    expect(page.locator(".result-group h2")).to_have_text(["9:16", "1:1"])
    page.get_by_label("Format", exact=True).select_option("1:1 (1)")
    expect(page.locator(".output")).to_have_count(1)
    visitor.button("Select these 1").click()
    visitor.sees("1 video selected")
    page.locator(".output .play").click()
    expect(page.locator("#compare")).to_be_visible()
    expect(page.locator("#compare-source")).to_be_hidden()
    visitor.wait_for_videos("#compare-output")
