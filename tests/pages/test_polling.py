"""Polling the list of jobs: how often, what is kept in place, and which errors are shown."""

import re
import time

import pytest
from playwright.sync_api import Locator, expect

from jobserver.db import Connection
from tests.pages.conftest import ACTIVE_JOB, JOB_COUNT, NewVisitor
from tests.pages.rows import add_job, complete_job, delete_job, fail_job, set_progress
from tests.pages.visitor import Visitor
from tests.support import Server

pytestmark = pytest.mark.browser


def test_a_visible_page_polls_with_backoff_and_a_hidden_page_does_not_poll(
    list_visitor: Visitor, database: Connection
) -> None:
    percents = iter(range(1, 100))
    progressing = list_visitor.count_requests(
        60, lambda: set_progress(database, ACTIVE_JOB, next(percents) / 100)
    )
    unchanged = list_visitor.count_requests(60)
    complete_job(database, ACTIVE_JOB)
    list_visitor.count_requests(60)
    idle = list_visitor.count_requests(60)
    list_visitor.hide()
    hidden = list_visitor.count_requests(60)
    print(
        f"requests a minute with {JOB_COUNT} jobs: {progressing} while one progresses, "
        f"{unchanged} while nothing changes, {idle} when all have ended, {hidden} when hidden"
    )
    assert 10 <= progressing <= 22
    assert 4 <= unchanged <= 9
    assert 1 <= idle <= 4
    assert hidden == 0
    before = len(list_visitor.requests)
    list_visitor.hide(hidden=False)
    list_visitor.wait_for_responses()
    assert list_visitor.requests[before] == "GET /api/jobs"


def test_an_unchanged_list_is_answered_with_304(list_visitor: Visitor) -> None:
    with list_visitor.page.expect_response(re.compile("/api/jobs$")) as response:
        list_visitor.page.clock.run_for(5_000)
    assert response.value.status == 304


def test_a_response_that_arrives_while_the_page_is_hidden_is_not_lost(
    list_visitor: Visitor, database: Connection
) -> None:
    held = list_visitor.hold_requests("**/api/jobs")
    set_progress(database, ACTIVE_JOB, 0.77)
    list_visitor.page.clock.run_for(5_000)
    poll = list_visitor.first_held(held)
    list_visitor.hide()
    poll.continue_()
    list_visitor.wait_for_responses()
    list_visitor.page.unroute("**/api/jobs")
    list_visitor.hide(hidden=False)
    list_visitor.wait_for_responses()
    expect(list_visitor.page.locator("#jobs progress").first).to_have_js_property("value", 77)


def test_updates_of_the_list_keep_focus_and_scroll_position(
    list_visitor: Visitor, database: Connection
) -> None:
    link = list_visitor.page.locator('#jobs a[href$="job0470"]')
    link.focus()
    link.evaluate("link => { link.isTheSame = true; link.scrollIntoView({ block: 'center' }); }")
    top = link.evaluate("link => link.getBoundingClientRect().top")
    set_progress(database, ACTIVE_JOB, 0.5)
    for number in range(3):
        add_job(database, JOB_COUNT + number, time.time())
    list_visitor.page.clock.run_for(5_000)
    expect(list_visitor.page.locator("#jobs > li").first).to_contain_text("clip 502.mp4")
    list_visitor.page.clock.run_for(100)  # scroll anchoring takes effect at the next frame
    assert link.evaluate("link => link === document.activeElement && link.isTheSame")
    assert link.evaluate("link => link.getBoundingClientRect().top") == pytest.approx(top, abs=2)


def test_going_back_returns_to_the_same_job_in_the_list(list_visitor: Visitor) -> None:
    link = row(list_visitor, 470).get_by_role("link")
    link.evaluate("link => link.scrollIntoView({ block: 'center' })")
    scroll_position = list_visitor.page.evaluate("() => scrollY")
    link.click()
    expect(list_visitor.page.locator("#job-title")).to_have_text("clip 470.mp4")
    list_visitor.page.go_back()
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    assert list_visitor.page.evaluate("() => scrollY") == pytest.approx(scroll_position, abs=2)


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        ({"body": "<p>Welcome</p>"}, "The server sent an invalid response. Trying again."),
        ({"status": 503, "json": {"error": "Busy; try again"}}, "Busy. Trying again."),
    ],
)
def test_an_error_of_the_list_is_shown_as_a_sentence(
    list_visitor: Visitor, response: dict, sentence: str
) -> None:
    list_visitor.page.route("**/api/jobs", lambda route: route.fulfill(**response))
    list_visitor.poll_now()
    expect(list_visitor.page.locator("#connection-status")).to_have_text(sentence)


def test_a_truncated_response_is_shown_as_an_unreachable_server(list_visitor: Visitor) -> None:
    list_visitor.page.evaluate("""() => {
        Response.prototype.text = () => Promise.reject(new TypeError("Failed to fetch"));
    }""")
    list_visitor.poll_now()
    status = list_visitor.page.locator("#connection-status")
    expect(status).to_contain_text("The server cannot be reached.")


def test_older_jobs_are_shown_page_by_page(list_visitor: Visitor, database: Connection) -> None:
    list_visitor.button("Show older jobs").click()
    expect(list_visitor.page.locator("#jobs > li")).to_have_count(100)
    assert list_visitor.focused_text() == "clip 449.mp4"
    add_job(database, JOB_COUNT, time.time())
    list_visitor.page.clock.run_for(5_000)
    expect(list_visitor.page.locator("#jobs > li").first).to_contain_text("clip 500.mp4")
    names = list_visitor.page.locator("#jobs .name bdi").all_text_contents()
    assert names == [f"clip {number}.mp4" for number in range(500, 400, -1)]


def row(visitor: Visitor, number: int) -> Locator:
    link = visitor.page.locator(f'a[href$="job{number:04}"]')
    return visitor.page.locator("#jobs > li").filter(has=link)


def test_changes_to_an_older_job_are_shown_in_the_list(
    list_visitor: Visitor, database: Connection
) -> None:
    fail_job(database, "job0430")
    list_visitor.button("Show older jobs").click()
    row(list_visitor, 430).get_by_role("link").click()
    list_visitor.button("Retry what failed").click()
    list_visitor.wait_for_status("queued")
    list_visitor.page.get_by_role("link", name="All jobs").click()
    expect(row(list_visitor, 430)).to_contain_text("queued")

    row(list_visitor, 431).get_by_role("link").click()
    list_visitor.wait_for_responses()
    list_visitor.hold_requests("**/api/jobs")
    list_visitor.button("Delete").click()
    list_visitor.page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(list_visitor.heading("New job")).to_be_focused()
    expect(row(list_visitor, 430)).to_have_count(1)
    expect(row(list_visitor, 431)).to_have_count(0)
    delete_job(database, "job0432")  # from another browser
    list_visitor.page.unroute("**/api/jobs")
    expect(row(list_visitor, 432)).to_have_count(0)
    expect(list_visitor.page.locator("#jobs > li")).to_have_count(100)


def test_older_jobs_are_found_although_the_last_listed_job_is_gone(
    list_visitor: Visitor, database: Connection
) -> None:
    show_older = list_visitor.button("Show older jobs")
    show_older.click()
    expect(list_visitor.page.locator("#jobs > li")).to_have_count(100)
    # without a trace, as when the server has forgotten an expired job
    database.execute("DELETE FROM job_file WHERE job_id = 'job0400'")
    database.execute("DELETE FROM job WHERE id = 'job0400'")
    show_older.click()
    expect(list_visitor.page.locator("#jobs > li")).to_have_count(150)
    expect(list_visitor.page.locator("#connection-status")).to_be_empty()
    assert list_visitor.focused_text() == "clip 398.mp4"


def test_a_list_that_cannot_be_loaded_is_not_shown_as_empty(
    new_visitor: NewVisitor, idle_server: Server
) -> None:
    visitor = new_visitor(idle_server)
    visitor.page.clock.install()
    error = {"status": 503, "json": {"error": "The database is busy; try again"}}
    visitor.page.route("**/api/jobs", lambda route: route.fulfill(**error))
    visitor.open_signed_in()
    visitor.page.clock.pause_at(time.time() + 2)
    visitor.advance_clock(31)
    expect(visitor.page.locator("#no-jobs")).to_be_hidden()
    expect(visitor.page.locator("#jobs-loading")).to_be_visible()


def test_an_offline_server_is_reported_until_it_is_back(
    list_visitor: Visitor, idle_server: Server
) -> None:
    status = list_visitor.page.locator("#connection-status")
    idle_server.kill()
    list_visitor.advance_clock(5)
    expect(status).to_contain_text("The server cannot be reached.")
    expect(list_visitor.page.locator("#jobs > li")).to_have_count(50)
    idle_server.start()
    list_visitor.advance_clock(31)
    expect(status).to_be_empty()
