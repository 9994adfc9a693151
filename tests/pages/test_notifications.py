"""Notifications about jobs that end while the page is in a background tab."""

import re
import time

import pytest
from playwright.sync_api import expect

from jobserver.db import Connection
from tests.pages.conftest import ACTIVE_JOB, JOB_COUNT
from tests.pages.rows import add_job, complete_job, delete_job, fail_job
from tests.pages.visitor import Visitor, damaged_mp4

pytestmark = pytest.mark.browser


def test_permission_is_requested_only_when_notifications_are_turned_on(
    list_visitor: Visitor,
) -> None:
    list_visitor.count_requests(10)
    assert list_visitor.page.evaluate("() => window.permissionRequests") == 0
    list_visitor.button("Notify me").click()
    expect(list_visitor.button("Notify me")).to_have_attribute("aria-pressed", "true")
    assert list_visitor.page.evaluate("() => window.permissionRequests") == 1


def test_a_job_that_ends_in_the_background_is_shown_in_title_and_notification(
    list_visitor: Visitor, database: Connection
) -> None:
    list_visitor.button("Notify me").click()
    list_visitor.hide()
    complete_job(database, ACTIVE_JOB)
    assert list_visitor.count_requests(9) == 1
    expect(list_visitor.page).to_have_title("(1) ✓ jobserver")
    [body] = list_visitor.page.evaluate("() => window.notifications")
    assert body.startswith("clip 499.mp4: ")
    list_visitor.hide(hidden=False)
    expect(list_visitor.page).to_have_title("jobserver")
    assert list_visitor.page.evaluate("() => window.notifications.length") == 1


def test_the_title_has_no_check_mark_for_a_failed_job(
    list_visitor: Visitor, database: Connection
) -> None:
    list_visitor.button("Notify me").click()
    list_visitor.hide()
    complete_job(database, ACTIVE_JOB)
    fail_job(database, ACTIVE_JOB)
    list_visitor.advance_clock(9)
    expect(list_visitor.page).to_have_title("(1) jobserver")


def test_a_job_whose_upload_ended_in_the_background_is_watched_too(
    list_visitor: Visitor, database: Connection
) -> None:
    complete_job(database, ACTIVE_JOB)
    list_visitor.poll_now()
    list_visitor.button("Notify me").click()
    held = list_visitor.hold_requests("**/api/jobs", times=1)
    list_visitor.choose(damaged_mp4("late.mp4", 100))
    list_visitor.wait_for_responses()
    list_visitor.hide()
    list_visitor.button("Start").click()
    upload = list_visitor.first_held(held)
    list_visitor.page.clock.run_for(130_000)
    upload.continue_()
    list_visitor.page.wait_for_url("**/jobs/*")
    complete_job(database, list_visitor.page.url.rpartition("/")[2])
    list_visitor.advance_clock(9)
    expect(list_visitor.page).to_have_title(re.compile(r"^\(1\) ✓"))


def test_a_job_that_is_no_longer_listed_is_watched_until_it_ends(
    list_visitor: Visitor, database: Connection
) -> None:
    list_visitor.button("Notify me").click()
    list_visitor.hide()
    for number in range(60):
        add_job(database, JOB_COUNT + number, time.time())
    database.execute(
        "UPDATE job_file SET status = 'completed' WHERE job_id > :active", {"active": ACTIVE_JOB}
    )
    list_visitor.advance_clock(9)
    expect(list_visitor.page).to_have_title("jobserver")
    complete_job(database, ACTIVE_JOB)
    list_visitor.advance_clock(9)
    expect(list_visitor.page).to_have_title("(1) ✓ jobserver")


def test_a_hidden_page_stops_polling_for_a_deleted_job(
    list_visitor: Visitor, database: Connection
) -> None:
    list_visitor.button("Notify me").click()
    list_visitor.hide()
    delete_job(database, ACTIVE_JOB)
    assert list_visitor.count_requests(10) == 2
    assert list_visitor.count_requests(70) == 0


def test_blocked_notifications_are_reported_and_every_tab_shows_the_setting(
    visitor: Visitor,
) -> None:
    other_tab = visitor.context.new_page()
    other_tab.goto(visitor.root)
    # Chromium without a window never resolves the real request
    visitor.page.evaluate("() => { Notification.requestPermission = async () => 'denied'; }")
    visitor.button("Notify me").click()
    visitor.sees("The browser blocks notifications")
    expect(other_tab.locator("#notify")).to_have_attribute("aria-pressed", "true")
    visitor.button("Notify me").click()
    expect(visitor.page.locator("#notify-note")).to_be_hidden()
    expect(other_tab.locator("#notify")).to_have_attribute("aria-pressed", "false")
