"""Signing in and out, and sessions that end while the page is open."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import NewVisitor
from tests.pages.visitor import Visitor
from tests.support import PASSWORD, Server

pytestmark = pytest.mark.browser


def test_wrong_passwords_show_an_error_and_then_a_countdown(
    new_visitor: NewVisitor, own_server: Server
) -> None:
    visitor = new_visitor(own_server.start()).open()
    error = visitor.page.locator("#sign-in-error")
    visitor.button("Sign in").click()
    expect(error).to_have_text("Enter the password.")
    visitor.sign_in("wrong")
    expect(error).to_have_text("Wrong password.")
    expect(visitor.page.get_by_label("Password")).to_be_focused()
    for _ in range(4):
        own_server.sign_in("wrong")
    visitor.sign_in("wrong")
    expect(error).to_have_text(re.compile(r"Too many wrong passwords\. Try again in \d+ second"))
    expect(visitor.page.locator("#sign-in-button")).to_have_text(re.compile(r"Wait \d+ s"))
    expect(visitor.button("Sign in")).to_be_enabled(timeout=15_000)
    visitor.sign_in()
    expect(visitor.heading("New job")).to_be_focused()


def test_the_token_is_in_session_storage_only(visitor: Visitor) -> None:
    token = visitor.page.evaluate("() => sessionStorage.getItem('jobserver.token')")
    assert token
    assert visitor.page.evaluate("() => ({ ...localStorage })") == {}
    assert visitor.context.cookies() == []
    assert not [request for request in visitor.requests if token in request]
    visitor.page.reload()
    expect(visitor.heading("New job")).to_be_visible()


def test_who_stays_signed_in_is_so_in_every_tab_until_one_signs_out(
    visitor: Visitor,
) -> None:
    visitor.button("Sign out").click()
    visitor.page.get_by_label("Stay signed in on this computer").check()
    visitor.sign_in()
    expect(visitor.heading("New job")).to_be_visible()
    assert visitor.page.evaluate("() => sessionStorage.length") == 0
    other = visitor.context.new_page()
    other.goto(visitor.root)
    expect(other.get_by_role("heading", name="New job")).to_be_visible()
    other.get_by_role("button", name="Sign out").click()
    expect(visitor.heading("Sign in")).to_be_visible()
    assert visitor.page.evaluate("() => localStorage.getItem('jobserver.token')") is None
    other.close()
    expect(visitor.page.get_by_label("Stay signed in on this computer")).not_to_be_checked()


def test_a_key_is_made_shown_once_and_revoked_and_all_are_signed_out(
    new_visitor: NewVisitor, own_server: Server
) -> None:
    visitor = new_visitor(own_server.start()).open_signed_in()
    visitor.page.get_by_role("link", name="Keys").click()
    expect(visitor.heading("Keys")).to_be_focused()
    visitor.sees("There are no keys.")
    visitor.button("Make a key").click()
    expect(visitor.page.locator("#key-error")).to_have_text("Name the key.")
    visitor.page.locator("#key-name").fill("nightly")
    visitor.button("Make a key").click()
    shown = visitor.page.get_by_label("Copy this key now")
    expect(shown).to_be_focused()
    key = shown.input_value()
    visitor.sees("read, create · never used")
    assert own_server.get("/api/jobs", key).status == 200
    visitor.page.reload()
    visitor.sees("read, create · used just now")
    expect(shown).to_be_hidden()
    visitor.button("Revoke nightly").click()
    visitor.button("Revoke").click()
    visitor.sees("There are no keys.")
    assert own_server.get("/api/jobs", key).status == 401
    visitor.button("Sign out everywhere").click()
    visitor.page.locator("#confirm-yes").click()
    expect(visitor.heading("Sign in")).to_be_visible()
    assert own_server.get("/api/jobs", own_server.sign_in().json["token"]).status == 200


def test_the_page_works_when_the_browser_blocks_storage(
    new_visitor: NewVisitor, rendering_server: Server
) -> None:
    visitor = new_visitor(rendering_server)
    visitor.page.add_init_script(
        """for (const area of ["localStorage", "sessionStorage"]) {
            const get = () => { throw new DOMException("denied", "SecurityError"); };
            Object.defineProperty(window, area, { get });
        }"""
    )
    visitor.open_signed_in()
    expect(visitor.heading("New job")).to_be_focused()
    visitor.button("Notify me").click()
    expect(visitor.button("Notify me")).to_have_attribute("aria-pressed", "true")
    visitor.button("Sign out").click()
    expect(visitor.heading("Sign in")).to_be_visible()


def test_signing_in_again_returns_to_the_view_that_was_open(
    new_visitor: NewVisitor, own_server: Server, clips: list[Path]
) -> None:
    visitor = new_visitor(own_server.start()).open_signed_in()
    job_id = visitor.choose(clips[0]).upload(variations=1)
    own_server.stop()
    own_server.settings["AUTH_PASSWORD"] = "another horse"  # invalidates every token
    own_server.start()
    visitor.sees("Your session has ended.")
    visitor.sign_in("another horse")
    expect(visitor.page.locator("#job-title")).to_have_text("hero.mp4")
    assert visitor.page.url.endswith(job_id)


def test_signing_out_clears_the_page_and_the_token(visitor: Visitor, clips: list[Path]) -> None:
    visitor.choose(clips[0])
    visitor.button("Sign out").click()
    expect(visitor.heading("Sign in")).to_be_visible()
    assert visitor.page.evaluate("() => sessionStorage.length") == 0
    assert visitor.chosen_names() == []
    assert visitor.page.locator("#jobs > li").count() == 0
    expect(visitor.page.get_by_label("Password")).to_have_value("")
    visitor.sign_in(PASSWORD)
    expect(visitor.heading("New job")).to_be_focused()
