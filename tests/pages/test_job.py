"""What is done to a job is done to the one that was asked about, whatever is shown by then."""

import re
import sqlite3
import time

import pytest
from playwright.sync_api import Route, expect

from tests.pages.conftest import Visit, add_job
from tests.pages.visitor import Visitor
from tests.support import Server, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(quiet_server: Server, database: sqlite3.Connection, visit: Visit) -> Visitor:
    """Somebody who looked at job 2, went to the list, and looks at job 1."""
    for number in (1, 2):
        add_job(database, number, time.time())
    visitor = visit(quiet_server).enter("/jobs/job0002")
    expect(visitor.page.locator("#job-title")).to_have_text("clip 2.mp4")
    visitor.page.get_by_role("link", name="All jobs").click()
    visitor.page.locator('#jobs a[href$="job0001"]').click()
    expect(visitor.page.locator("#job-title")).to_have_text("clip 1.mp4")
    return visitor


def go_back_to_job_2(visitor: Visitor) -> None:
    visitor.page.evaluate("() => history.go(-2)")
    expect(visitor.page.locator("#job-title")).to_have_text("clip 2.mp4")


def say_yes(visitor: Visitor, name: str) -> None:
    visitor.button(name).click()
    visitor.page.locator("#confirm").get_by_role("button", name=name).click()


def hold(visitor: Visitor, method: str, path: str) -> list[Route]:
    """Keep back requests of this method; return where they gather."""
    held: list[Route] = []
    visitor.page.route(
        path,
        lambda route: held.append(route) if route.request.method == method else route.fallback(),
    )
    return held


def wait_for_one(visitor: Visitor, held: list[Route]) -> Route:
    wait_for(lambda: visitor.page.evaluate("() => null") or held, what="the request")
    return held[0]


@pytest.mark.parametrize("name", ["Delete", "Cancel job"])
def test_a_question_goes_with_the_job_it_was_asked_about(visitor: Visitor, name: str) -> None:
    visitor.button(name).click()
    expect(visitor.page.locator("#confirm")).to_be_visible()
    go_back_to_job_2(visitor)
    expect(visitor.page.locator("#confirm")).to_be_hidden()
    visitor.settle()
    assert not [each for each in visitor.requests if re.match("DELETE|POST.*cancel", each)]


def test_a_question_goes_with_the_session(visitor: Visitor) -> None:
    visitor.button("Delete").click()
    visitor.page.evaluate("() => sessionStorage.setItem('jobserver.token', 'of yesterday')")
    visitor.ask_now()
    visitor.sees("Your session has ended.")
    expect(visitor.page.locator("#confirm")).to_be_hidden()


def test_a_slow_deletion_leaves_the_job_alone_that_is_shown_by_then(
    visitor: Visitor, quiet_server: Server
) -> None:
    held = hold(visitor, "DELETE", "**/api/jobs/job0001")
    say_yes(visitor, "Delete")
    deletion = wait_for_one(visitor, held)
    go_back_to_job_2(visitor)
    say_yes(visitor, "Cancel job")
    visitor.wait_until("cancelled")
    deletion.continue_()
    expect(visitor.page.locator("#live")).to_have_text("The job was deleted.")
    assert visitor.page.url.endswith("job0002")
    assert quiet_server.rows("SELECT id FROM job") == [("job0002",)]


def test_a_slow_refusal_is_not_said_of_the_job_that_is_shown_by_then(visitor: Visitor) -> None:
    held = hold(visitor, "DELETE", "**/api/jobs/job0001")
    say_yes(visitor, "Delete")
    deletion = wait_for_one(visitor, held)
    go_back_to_job_2(visitor)
    deletion.fulfill(status=503, json={"error": "The database is busy"})
    visitor.settle()
    expect(visitor.page.locator("#job-error")).to_be_empty()


def test_an_answer_from_before_a_cancellation_does_not_undo_it(
    visitor: Visitor, database: sqlite3.Connection
) -> None:
    database.execute("UPDATE job_file SET progress = 0.5 WHERE job_id = 'job0001'")
    held: list[Route] = []
    visitor.page.route("**/api/jobs/job0001", lambda route: held.append(route), times=1)
    visitor.ask_now()
    question = wait_for_one(visitor, held)
    before = question.fetch()
    say_yes(visitor, "Cancel job")
    visitor.wait_until("cancelled")
    visitor.state().evaluate("""it => {
        const note = () => { window.undone ||= it.textContent !== "cancelled"; };
        new MutationObserver(note).observe(it, { childList: true });
    }""")
    question.fulfill(response=before)
    for _ in range(2):  # whatever the page makes of it, it has done so by the second answer
        visitor.ask_now()
        visitor.settle()
    assert not visitor.page.evaluate("() => window.undone")
