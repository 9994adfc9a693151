"""Making a job again with its kept files."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import NewVisitor
from tests.pages.test_brief import brief_of, clip, picture, role_of
from tests.pages.visitor import Visitor
from tests.support import Server

pytestmark = pytest.mark.browser


def test_a_job_is_made_again_with_other_options_and_nothing_is_uploaded(
    visitor: Visitor, rendering_server: Server, clips: list[Path]
) -> None:
    first = visitor.choose(clips[0]).upload(variations=1)
    visitor.wait_for_status("completed")
    visitor.button("Make again…").click()
    expect(visitor.heading("New job")).to_be_focused()
    visitor.sees("With the files of hero.mp4; nothing is uploaded.")
    expect(visitor.page.locator("#drop-zone")).to_be_hidden()
    expect(visitor.page.get_by_label("Variations each")).to_have_value("1")
    visitor.sees("1 variation of 1 video, nothing to upload")
    again = visitor.upload(variations=2)
    assert again != first
    visitor.wait_for_status("completed")
    expect(visitor.page.locator(".output")).to_have_count(2)
    assert visitor.requests.count("POST /api/jobs") == 1
    seeds = {
        rendering_server.get(f"/api/jobs/{each}", rendering_server.token).json["seed"]
        for each in (first, again)
    }
    assert len(seeds) == 1


def test_the_brief_of_a_job_is_shown_again(
    new_visitor: NewVisitor, idle_server: Server, clips: list[Path]
) -> None:
    visitor = new_visitor(idle_server).open_signed_in()
    page = visitor.page
    visitor.choose(clip("hook.mp4", clips[1]), clip("hero.mp4", clips[0]), picture("card.png"))
    role_of(visitor, "hook.mp4").select_option("hook")
    page.get_by_label("9:16 upright").check()
    page.get_by_label("Text").fill("Half price")
    page.get_by_label("also without a hook").check()
    visitor.button("Start").click()
    page.wait_for_url("**/jobs/*")
    visitor.button("Cancel job").click()
    page.locator("#confirm").get_by_role("button", name="Cancel job").click()
    visitor.button("Make again…").click()
    assert visitor.chosen_names() == ["hook.mp4", "hero.mp4", "card.png"]
    expect(page.get_by_label("9:16 upright")).to_be_checked()
    expect(page.get_by_label("also without a hook")).to_be_checked()
    assert brief_of(visitor)["headlines"][0]["text"] == "Half price"
    expect(role_of(visitor, "hook.mp4")).to_be_disabled()
    page.get_by_label("1:1 square").check()
    visitor.button("Start").click()
    expect(page.locator("#job-facts")).to_contain_text("4 videos · from 1 main clip")
    visitor.page.get_by_role("link", name="All jobs").click()
    expect(page.locator("#again")).to_be_hidden()
    expect(page.locator("#chosen > li")).to_have_count(0)
