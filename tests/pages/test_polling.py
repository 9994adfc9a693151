"""Keeping up to date: how often, what stays in its place, and what is said of it."""

import re
import sqlite3
import time

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.pages.conftest import Visit, add_job
from tests.pages.visitor import Visitor
from tests.support import Server, wait_for

pytestmark = pytest.mark.browser

JOBS = 500
RUNNING = "job0499"  # the newest


@pytest.fixture
def many_jobs(database: sqlite3.Connection) -> None:
    """500 jobs; the newest is at work, the others have ended."""
    now = time.time()
    for number in range(JOBS):
        add_job(database, number, now - 2 * (JOBS - number))
    database.execute(
        """UPDATE job_file SET status = 'completed', finished_at = :now, progress = 1
           WHERE job_id != :running""",
        {"now": now, "running": RUNNING},
    )
    database.execute(
        """UPDATE job_file SET status = 'processing', lease_until = :later, started_at = :now
           WHERE job_id = :running""",
        {"later": now + 3600, "now": now, "running": RUNNING},
    )


def set_progress(db: sqlite3.Connection, progress: float) -> None:
    values = {"progress": progress, "id": RUNNING}
    db.execute("UPDATE job_file SET progress = :progress WHERE job_id = :id", values)


def complete(db: sqlite3.Connection, job_id: str = RUNNING) -> None:
    values = {"now": time.time(), "id": job_id}
    db.execute(
        "UPDATE job_file SET status = 'completed', finished_at = :now WHERE job_id = :id", values
    )


@pytest.fixture
def watcher(quiet_server: Server, many_jobs: None, visit: Visit) -> Visitor:
    """Somebody who looks at the list of 500 jobs, on a clock that the test moves."""
    visitor = visit(quiet_server, permissions=["notifications"])
    visitor.page.add_init_script(NOTIFICATION)
    visitor.page.clock.install()
    visitor.enter()
    expect(visitor.page.locator("#jobs > li")).to_have_count(50)
    expect(visitor.page.locator("#storage")).to_be_visible()  # asked for last: it rests now
    visitor.page.clock.pause_at(time.time() + 2)
    visitor.settle()
    return visitor


# Chromium without a window shows none; what is asked and shown is noted instead.
NOTIFICATION = """
    window.asked = 0;
    window.shown = [];
    window.Notification = class {
        static permission = "default";
        static requestPermission() {
            window.asked += 1;
            this.permission = "granted";
            return Promise.resolve("granted");
        }
        constructor(title, { body }) { window.shown.push(body); }
        close() {}
    };
"""


def test_an_open_page_asks_seldom_and_a_hidden_one_never(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    progress = iter(range(1, 100))
    moving = watcher.count_requests(60, lambda: set_progress(database, next(progress) / 100))
    standing = watcher.count_requests(60)
    complete(database)
    watcher.count_requests(60)
    resting = watcher.count_requests(60)
    watcher.hide()
    hidden = watcher.count_requests(60)
    print(
        f"requests a minute with {JOBS} jobs: {moving} while one moves, {standing} while it "
        f"stands still, {resting} when all have ended, {hidden} from a hidden page"
    )
    assert 10 <= moving <= 22
    assert 4 <= standing <= 9
    assert 1 <= resting <= 4
    assert hidden == 0
    before = len(watcher.requests)
    watcher.hide(hidden=False)
    watcher.settle()
    assert watcher.requests[before] == "GET /api/jobs"


def test_an_unchanged_list_is_not_sent_again(watcher: Visitor) -> None:
    with watcher.page.expect_response(re.compile("/api/jobs$")) as answer:
        watcher.page.clock.run_for(5_000)
    assert answer.value.status == 304


def test_an_answer_that_comes_when_the_page_is_hidden_is_not_lost(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    held: list[Route] = []
    watcher.page.route("**/api/jobs", lambda route: held.append(route))
    set_progress(database, 0.77)
    watcher.page.clock.run_for(5_000)
    wait_for(lambda: watcher.page.evaluate("() => null") or held, what="the question")
    watcher.hide()
    held[0].continue_()
    watcher.settle()
    watcher.page.unroute("**/api/jobs")
    watcher.hide(hidden=False)
    watcher.settle()
    expect(watcher.page.locator("#jobs progress").first).to_have_js_property("value", 77)


def test_what_moves_takes_neither_focus_nor_place_from_what_is_read(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    row = watcher.page.locator('#jobs a[href$="job0470"]')
    row.focus()
    row.evaluate("it => { it.isTheSame = true; it.scrollIntoView({ block: 'center' }); }")
    place = row.evaluate("it => it.getBoundingClientRect().top")
    set_progress(database, 0.5)
    for number in range(3):
        add_job(database, JOBS + number, time.time())
    watcher.page.clock.run_for(5_000)
    expect(watcher.page.locator("#jobs > li").first).to_contain_text("clip 502.mp4")
    watcher.page.clock.run_for(100)  # scrolling back is anchored at the next frame
    assert row.evaluate("it => it === document.activeElement && it.isTheSame")
    assert row.evaluate("it => it.getBoundingClientRect().top") == pytest.approx(place, abs=2)


def test_the_browsers_back_leads_to_the_job_that_was_left(watcher: Visitor) -> None:
    link = row(watcher, 470).get_by_role("link")
    link.evaluate("it => it.scrollIntoView({ block: 'center' })")
    place = watcher.page.evaluate("() => scrollY")
    link.click()
    expect(watcher.page.locator("#job-title")).to_have_text("clip 470.mp4")
    watcher.page.go_back()
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    assert watcher.page.evaluate("() => scrollY") == pytest.approx(place, abs=2)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {"body": "<p>Welcome</p>"},
            "The server gave an answer that makes no sense. Trying again.",
        ),
        ({"status": 503, "json": {"error": "Busy; try again"}}, "Busy. Trying again."),
    ],
)
def test_what_is_no_list_is_told_in_plain_words(
    watcher: Visitor, answer: dict, sentence: str
) -> None:
    watcher.page.route("**/api/jobs", lambda route: route.fulfill(**answer))
    watcher.ask_now()
    expect(watcher.page.locator("#trouble")).to_have_text(sentence)


def test_an_answer_that_is_cut_short_is_a_server_out_of_reach(
    watcher: Visitor,
) -> None:
    watcher.page.evaluate("""() => {
        const broken = () => Promise.reject(new TypeError("Failed to fetch"));
        Response.prototype.text = broken;
    }""")
    watcher.ask_now()
    expect(watcher.page.locator("#trouble")).to_contain_text("The server cannot be reached.")


def test_older_jobs_come_page_by_page(watcher: Visitor, database: sqlite3.Connection) -> None:
    watcher.button("Show older jobs").click()
    expect(watcher.page.locator("#jobs > li")).to_have_count(100)
    assert watcher.focused() == "clip 449.mp4"
    add_job(database, JOBS, time.time())
    watcher.page.clock.run_for(5_000)
    expect(watcher.page.locator("#jobs > li").first).to_contain_text("clip 500.mp4")
    names = watcher.page.locator("#jobs .name bdi").all_text_contents()
    assert names == [f"clip {number}.mp4" for number in range(500, 400, -1)]


def row(visitor: Visitor, number: int) -> Locator:
    link = visitor.page.locator(f'a[href$="job{number:04}"]')
    return visitor.page.locator("#jobs > li").filter(has=link)


def remove(db: sqlite3.Connection, number: int) -> None:
    db.execute("UPDATE job SET removed_at = 1 WHERE id = ?", (f"job{number:04}",))


def test_what_is_done_to_an_older_job_is_seen_in_the_list(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    database.execute("UPDATE job_file SET status = 'failed' WHERE job_id = 'job0430'")
    watcher.button("Show older jobs").click()
    row(watcher, 430).get_by_role("link").click()
    watcher.button("Retry what failed").click()
    watcher.wait_until("queued")
    watcher.page.get_by_role("link", name="All jobs").click()
    expect(row(watcher, 430)).to_contain_text("queued")

    row(watcher, 431).get_by_role("link").click()
    watcher.settle()
    held: list[Route] = []
    watcher.page.route("**/api/jobs", lambda route: held.append(route))
    watcher.button("Delete").click()
    watcher.page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(watcher.heading("New job")).to_be_focused()
    expect(row(watcher, 430)).to_have_count(1)
    expect(row(watcher, 431)).to_have_count(0)
    remove(database, 432)  # elsewhere
    watcher.page.unroute("**/api/jobs")
    expect(row(watcher, 432)).to_have_count(0)
    expect(watcher.page.locator("#jobs > li")).to_have_count(100)


def test_older_jobs_are_found_although_the_last_one_shown_is_gone(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    older = watcher.button("Show older jobs")
    older.click()
    expect(watcher.page.locator("#jobs > li")).to_have_count(100)
    database.execute("DELETE FROM job_file WHERE job_id = 'job0400'")  # longer ago than is known
    database.execute("DELETE FROM job WHERE id = 'job0400'")
    older.click()
    expect(watcher.page.locator("#jobs > li")).to_have_count(150)
    expect(watcher.page.locator("#trouble")).to_be_empty()
    assert watcher.focused() == "clip 398.mp4"


def test_a_list_that_cannot_be_read_is_not_said_to_be_empty(
    visit: Visit, quiet_server: Server
) -> None:
    visitor = visit(quiet_server)
    visitor.page.clock.install()
    refusal = {"status": 503, "json": {"error": "The database is busy; try again"}}
    visitor.page.route("**/api/jobs", lambda route: route.fulfill(**refusal))
    visitor.enter()
    visitor.page.clock.pause_at(time.time() + 2)
    visitor.pass_time(31)
    expect(visitor.page.locator("#no-jobs")).to_be_hidden()
    expect(visitor.page.locator("#jobs-loading")).to_be_visible()


def test_a_server_that_goes_away_in_mid_poll_is_told_and_found_again(
    watcher: Visitor, quiet_server: Server
) -> None:
    quiet_server.kill()
    watcher.pass_time(5)
    expect(watcher.page.locator("#trouble")).to_contain_text("The server cannot be reached.")
    expect(watcher.page.locator("#jobs > li")).to_have_count(50)
    quiet_server.start()
    watcher.pass_time(31)
    expect(watcher.page.locator("#trouble")).to_be_empty()


def test_nobody_is_asked_for_permission_who_has_not_turned_it_on(watcher: Visitor) -> None:
    watcher.count_requests(10)
    assert watcher.page.evaluate("() => window.asked") == 0
    watcher.button("Notify me").click()
    expect(watcher.button("Notify me")).to_have_attribute("aria-pressed", "true")
    assert watcher.page.evaluate("() => window.asked") == 1


def test_a_job_that_ends_behind_ones_back_is_told_by_title_and_notification(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    watcher.button("Notify me").click()
    watcher.hide()
    complete(database)
    assert watcher.count_requests(60) == 0
    assert watcher.count_requests(10) == 1
    expect(watcher.page).to_have_title("(1) ✓ jobserver")
    [body] = watcher.page.evaluate("() => window.shown")
    assert body.startswith("clip 499.mp4: ")
    watcher.hide(hidden=False)
    expect(watcher.page).to_have_title("jobserver")
    assert watcher.page.evaluate("() => window.shown.length") == 1


def test_no_check_mark_stands_for_a_job_that_failed(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    watcher.button("Notify me").click()
    watcher.hide()
    complete(database)
    database.execute("UPDATE job_file SET status = 'failed' WHERE job_id = ?", [RUNNING])
    watcher.pass_time(66)
    expect(watcher.page).to_have_title("(1) jobserver")


def test_a_job_whose_upload_was_slow_is_waited_for_too(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    complete(database)
    watcher.ask_now()
    watcher.button("Notify me").click()
    held: list[Route] = []
    watcher.page.route("**/api/jobs", lambda route: held.append(route), times=1)
    watcher.choose({"name": "late.mp4", "mimeType": "video/mp4", "buffer": bytes(100)})
    watcher.settle()
    watcher.hide()
    watcher.button("Start").click()
    wait_for(lambda: watcher.page.evaluate("() => null") or held, what="the upload")
    watcher.page.clock.run_for(130_000)
    held[0].continue_()
    watcher.page.wait_for_url("**/jobs/*")
    complete(database, watcher.page.url.rpartition("/")[2])
    watcher.pass_time(66)
    expect(watcher.page).to_have_title(re.compile(r"^\(1\) ✓"))


def test_a_job_that_is_no_longer_on_the_list_is_waited_for_until_it_is_gone(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    watcher.button("Notify me").click()
    watcher.hide()
    for number in range(60):
        add_job(database, JOBS + number, time.time())
    database.execute("UPDATE job_file SET status = 'completed' WHERE job_id > ?", [RUNNING])
    watcher.pass_time(66)
    expect(watcher.page).to_have_title("jobserver")
    complete(database)
    watcher.pass_time(65)
    expect(watcher.page).to_have_title("(1) ✓ jobserver")


def test_a_hidden_page_stops_asking_for_a_job_that_was_deleted(
    watcher: Visitor, database: sqlite3.Connection
) -> None:
    watcher.button("Notify me").click()
    watcher.hide()
    database.execute("UPDATE job SET removed_at = 1 WHERE id = ?", [RUNNING])
    assert watcher.count_requests(70) == 2
    assert watcher.count_requests(70) == 0


def test_who_may_not_be_notified_is_told_and_every_tab_knows_the_choice(
    visitor: Visitor,
) -> None:
    other = visitor.context.new_page()
    other.goto(visitor.root)
    # Chromium without a window leaves the question open for ever
    visitor.page.evaluate("() => { Notification.requestPermission = async () => 'denied'; }")
    visitor.button("Notify me").click()
    visitor.sees("The browser allows no notifications")
    expect(other.locator("#notify")).to_have_attribute("aria-pressed", "true")
    visitor.button("Notify me").click()
    expect(visitor.page.locator("#notify-note")).to_be_hidden()
    expect(other.locator("#notify")).to_have_attribute("aria-pressed", "false")
