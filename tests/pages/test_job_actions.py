"""Actions on a job apply to the job that the visitor chose, even when another one is shown."""

import re
import time

import pytest
from playwright.sync_api import expect

from jobserver.db import Connection
from tests.pages.conftest import NewVisitor
from tests.pages.rows import add_job, set_progress
from tests.pages.visitor import Visitor
from tests.support import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(idle_server: Server, database: Connection, new_visitor: NewVisitor) -> Visitor:
    """A visitor who opened job 2, went back to the list, and opened job 1."""
    for number in (1, 2):
        add_job(database, number, time.time())
    visitor = new_visitor(idle_server).open_signed_in("/jobs/job0002")
    expect(visitor.page.locator("#job-title")).to_have_text("clip 2.mp4")
    visitor.page.get_by_role("link", name="All jobs").click()
    visitor.page.locator('#jobs a[href$="job0001"]').click()
    expect(visitor.page.locator("#job-title")).to_have_text("clip 1.mp4")
    return visitor


def go_back_to_job_2(visitor: Visitor) -> None:
    visitor.page.evaluate("() => history.go(-2)")
    expect(visitor.page.locator("#job-title")).to_have_text("clip 2.mp4")


def click_and_hold(visitor: Visitor, name: str) -> list:
    held = visitor.hold_requests("**/api/jobs/job0001/cancel", "POST")
    visitor.button(name).click()
    visitor.page.locator("#confirm").get_by_role("button", name="Cancel job").click()
    return held


def click_and_confirm(visitor: Visitor, name: str) -> None:
    visitor.button(name).click()
    visitor.page.locator("#confirm").get_by_role("button", name=name).click()


@pytest.mark.parametrize("name", ["Delete", "Cancel job"])
def test_a_confirmation_is_dismissed_when_another_job_is_shown(visitor: Visitor, name: str) -> None:
    visitor.button(name).click()
    expect(visitor.page.locator("#confirm")).to_be_visible()
    go_back_to_job_2(visitor)
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    visitor.wait_for_responses()
    assert not [each for each in visitor.requests if re.match("DELETE|POST.*cancel", each)]


def test_a_confirmation_is_dismissed_when_the_session_ends(visitor: Visitor) -> None:
    visitor.button("Delete").click()
    visitor.page.evaluate("() => sessionStorage.setItem('jobserver.token', 'expired-token')")
    visitor.poll_now()
    visitor.sees("Your session has ended.")
    expect(visitor.page.locator("#confirm")).to_be_hidden()


def test_a_slow_deletion_does_not_affect_the_job_that_is_shown_when_it_ends(
    visitor: Visitor, idle_server: Server
) -> None:
    held = visitor.hold_requests("**/api/jobs/job0001", "DELETE")
    click_and_confirm(visitor, "Delete")
    deletion = visitor.first_held(held)
    go_back_to_job_2(visitor)
    click_and_confirm(visitor, "Cancel job")
    visitor.wait_for_status("cancelled")
    deletion.continue_()
    expect(visitor.page.locator("#live-region")).to_have_text("The job was deleted.")
    assert visitor.page.url.endswith("job0002")
    assert idle_server.rows("SELECT id FROM job") == [("job0002",)]


def test_the_error_of_a_slow_deletion_is_not_shown_at_another_job(visitor: Visitor) -> None:
    held = visitor.hold_requests("**/api/jobs/job0001", "DELETE")
    click_and_confirm(visitor, "Delete")
    deletion = visitor.first_held(held)
    go_back_to_job_2(visitor)
    deletion.fulfill(status=503, json={"error": "The database is busy"})
    visitor.wait_for_responses()
    expect(visitor.page.locator("#job-error")).to_be_empty()


def test_a_response_from_before_a_cancellation_does_not_undo_it(
    visitor: Visitor, database: Connection
) -> None:
    set_progress(database, "job0001", 0.5)
    held = visitor.hold_requests("**/api/jobs/job0001*", times=1)
    visitor.poll_now()
    poll = visitor.first_held(held)
    old_response = poll.fetch()
    click_and_confirm(visitor, "Cancel job")
    visitor.wait_for_status("cancelled")
    visitor.job_state().evaluate("""state => {
        const check = () => { window.wasUndone ||= state.textContent !== "cancelled"; };
        new MutationObserver(check).observe(state, { childList: true });
    }""")
    poll.fulfill(response=old_response)
    for _ in range(2):  # after a second response the page has certainly handled the old one
        visitor.poll_now()
        visitor.wait_for_responses()
    assert not visitor.page.evaluate("() => window.wasUndone")


def test_a_job_is_cancelled_from_the_list(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="All jobs").click()
    row = page.locator('#jobs > li[data-key="job0001"]')
    cancel = page.get_by_role("button", name="Cancel clip 1.mp4")
    cancel.click()
    page.locator("#confirm").get_by_role("button", name="Keep running").click()
    expect(cancel).to_be_focused()
    refusal = visitor.first_held(click_and_hold(visitor, "Cancel clip 1.mp4"))
    refusal.fulfill(status=503, json={"error": "The database is busy", "code": "database_busy"})
    expect(page.locator("#jobs-error")).to_have_text("The database is busy.")
    page.unroute("**/api/jobs/job0001/cancel")
    cancel.click()
    page.locator("#confirm").get_by_role("button", name="Cancel job").click()
    expect(row.locator(".state")).to_have_text("cancelled")
    expect(page.locator("#jobs-error")).to_be_empty()
    expect(cancel).to_be_hidden()
    expect(row.locator("a.name")).to_be_focused()
    expect(page.get_by_role("button", name="Cancel clip 2.mp4")).to_be_visible()
