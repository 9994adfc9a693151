"""What the form says a brief makes, asked of the server; and what the server refuses of it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import NewVisitor
from tests.pages.test_brief import clip, picture, role_of
from tests.pages.visitor import Visitor
from tests.support import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def briefing(visitor: Visitor, clips: list[Path]) -> Visitor:
    """A visitor who has chosen one video and sees what a brief would make."""
    visitor.choose(clips[0])
    visitor.page.get_by_label("Use a brief").check()
    visitor.sees("This makes 1 video.")
    return visitor


def test_the_count_the_cost_and_the_names_follow_the_form(
    briefing: Visitor, clips: list[Path]
) -> None:
    page = briefing.page
    briefing.choose(clip("hook.mp4", clips[1]), picture("card.png"))
    role_of(briefing, "hook.mp4").select_option("hook")
    for label in ("9:16 upright", "1:1 square", "also without a hook"):
        page.get_by_label(label).check()
    page.get_by_label("Looks of each").fill("3")
    briefing.sees("This makes 12 videos.")
    expect(page.locator("#upload-total")).to_contain_text("12 videos, ")
    expect(page.locator("#plan-cost")).to_contain_text("About")
    page.get_by_text("Their names").click()
    names = page.locator("#plan-names li")
    expect(names).to_have_count(12)
    expect(names.first).to_have_text("hero_hook_9x16_look1_1")
    page.get_by_label("Use a brief").uncheck()
    expect(page.locator("#upload-total")).to_contain_text("5 variations of 1 video")


def test_what_is_refused_is_said_at_its_field_and_again_at_the_start(briefing: Visitor) -> None:
    page = briefing.page
    page.get_by_label("Text").fill("One")
    briefing.button("Add a headline").click()
    page.keyboard.type("Two \U0001f4a9")
    second = page.get_by_label("Text").nth(1)
    expect(second).to_have_attribute("aria-invalid", "true")
    error = page.locator(".headline").nth(1).locator("[data-part=error]")
    expect(error).to_contain_text("\U0001f4a9")
    expect(second).to_have_accessible_error_message(re.compile("\U0001f4a9"))
    page.get_by_label("Text").first.focus()
    briefing.button("Start").click()
    expect(second).to_be_focused()
    expect(page.locator("#upload-error")).to_contain_text("\U0001f4a9")
    second.fill("Two")
    briefing.sees("This makes 2 videos.")
    expect(error).to_be_empty()
    expect(second).to_have_attribute("aria-invalid", "false")


def test_only_a_change_is_asked_about(briefing: Visitor) -> None:
    """Not the way from one headline to another, which changes the picture alone."""
    page = briefing.page
    page.get_by_label("Text").fill("One")
    briefing.button("Add a headline").click()
    page.keyboard.type("Two")
    briefing.sees("This makes 2 videos.")
    briefing.wait_for_responses()
    page.clock.install()
    asked = briefing.requests.count("POST /api/briefs/plan")
    page.get_by_label("Text").first.focus()
    briefing.advance_clock(1)
    assert briefing.requests.count("POST /api/briefs/plan") == asked
    page.keyboard.type("!")
    briefing.advance_clock(1)
    assert briefing.requests.count("POST /api/briefs/plan") == asked + 1


def test_words_where_numbers_belong_are_refused_at_their_field(briefing: Visitor) -> None:
    lengths = briefing.page.get_by_label("Lengths, seconds")
    lengths.fill("6, short")
    expect(lengths).to_have_attribute("aria-invalid", "true")
    lengths.fill("6, 15")
    briefing.sees("This makes 2 videos.")


def test_too_many_are_refused_with_their_number(
    new_visitor: NewVisitor, own_server: Server, clips: list[Path]
) -> None:
    own_server.settings["MAX_OUTPUTS"] = "4"
    visitor = new_visitor(own_server.start()).open_signed_in()
    visitor.choose(clips[0])
    visitor.page.get_by_label("Use a brief").check()
    visitor.page.get_by_label("Looks of each").fill("5")
    expect(visitor.page.locator("#plan-error")).to_contain_text("would make 5 outputs; at most 4")
