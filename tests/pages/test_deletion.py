"""The page warns before a job's time is over."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from jobserver.db import Connection
from tests.pages.conftest import NewVisitor
from tests.pages.rows import add_job, complete_job
from tests.pages.visitor import Visitor
from tests.results import Clip, make_job
from tests.support import Server

pytestmark = pytest.mark.browser

DAY_S = 86_400
HOUR_S = 3_600


@pytest.fixture
def visitor(idle_server: Server, new_visitor: NewVisitor) -> Visitor:
    """A visitor whose clock only the test moves; not signed in yet."""
    visitor = new_visitor(idle_server)
    visitor.page.clock.install()
    return visitor


@pytest.fixture
def make_ended(idle_server: Server) -> Callable[[float], str]:
    """Make a completed job that expires after so many seconds; return its id."""

    def make_ended(left_s: float) -> str:
        ended_at = time.time() - DAY_S + left_s
        clip = Clip("hero.mp4", [b"an output"])
        return make_job(idle_server, clip, created_at=ended_at, ended_at=ended_at).id

    return make_ended


def test_the_page_warns_in_the_last_two_hours(
    visitor: Visitor, make_ended: Callable[[float], str]
) -> None:
    job_id = make_ended(80 * 60 + 50)
    visitor.open_signed_in(f"/jobs/{job_id}")
    notice = visitor.page.locator("#job-deletion")
    expect(notice).to_have_text(
        "These results are deleted in 1 hour 20 minutes. Download what you want to keep."
    )
    expect(visitor.page.locator("#job-facts")).not_to_contain_text("expires")
    visitor.page.get_by_role("link", name="All jobs").click()
    row = visitor.page.locator("#jobs > li").first
    expect(row).to_contain_text("deleted in 1 hour 20 minutes")
    expect(row).not_to_contain_text("expires")


def test_a_page_that_stays_open_begins_to_warn(
    visitor: Visitor, make_ended: Callable[[float], str]
) -> None:
    visitor.open_signed_in(f"/jobs/{make_ended(2 * HOUR_S + 330)}")
    expect(visitor.page.locator("#job-facts")).to_contain_text("expires in 2 hours")
    expect(visitor.page.locator("#job-deletion")).to_be_hidden()
    # without answers, whose time the page would go by
    visitor.page.route("**/api/**", lambda route: route.abort())
    visitor.page.clock.run_for(6 * 60_000)
    visitor.sees("These results are deleted in 1 hour 59 minutes.")


def test_there_is_no_warning_for_a_job_that_runs_or_has_just_ended(
    visitor: Visitor, idle_server: Server, database: Connection
) -> None:
    add_job(database, 1, time.time() - 2 * DAY_S)
    visitor.open_signed_in("/jobs/job0001")
    expect(visitor.page.locator("#job-state")).to_have_text("queued")
    expect(visitor.page.locator("#job-deletion")).to_be_hidden()
    complete_job(database, "job0001")
    visitor.poll_now()
    expect(visitor.page.locator("#job-facts")).to_contain_text("expires in 24 hours")
    expect(visitor.page.locator("#job-deletion")).to_be_hidden()
