"""Nobody renders: the page says so in plain words, and says it no more once somebody does."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jobserver.db import Connection, exclusive
from tests.pages.conftest import NewVisitor
from tests.pages.rows import add_job
from tests.support import Server, Worker

NO_WORKER = "No worker is running; the job waits until one is started."
NEWEST = "job0001"


@pytest.fixture
def worker(idle_server: Server) -> Iterator[Worker]:
    """A worker of the server, not started."""
    worker = Worker(idle_server)
    with ExitStack() as stack:
        stack.callback(lambda: worker.process and worker.kill())
        yield worker


@pytest.fixture
def paced_jobs(database: Connection) -> None:
    """Two jobs; the first has an output, so the remaining time of both can be estimated."""
    for number in range(2):
        add_job(database, number, now=number + 1.0)
    with exclusive(database, "publish"):
        database.write(
            """INSERT INTO output
                   (id, file_id, number, name, size, sha256, parameters, seconds, created_at)
               VALUES ('x', 'file0000', 1, 'x.mp4', 1, '', '{}', 60, 1)"""
        )
        database.write("UPDATE job_file SET progress = 0.2 WHERE id = 'file0000'")


@pytest.mark.usefixtures("paced_jobs")
def test_a_job_without_a_worker_shows_that_in_place_of_the_time_left(
    idle_server: Server, new_visitor: NewVisitor
) -> None:
    visitor = new_visitor(idle_server).open_signed_in(f"/jobs/{NEWEST}")
    expect(visitor.page.locator("#job-eta")).to_have_text(NO_WORKER)
    visitor.open("/jobs/job0000")
    expect(visitor.page.locator("#job-eta")).to_have_text(f"20 % done. {NO_WORKER}")


@pytest.mark.usefixtures("paced_jobs")
def test_the_list_says_it_of_each_job_that_waits(
    idle_server: Server, new_visitor: NewVisitor
) -> None:
    visitor = new_visitor(idle_server).open_signed_in()
    rows = visitor.page.locator("#jobs > li")
    expect(rows).to_have_count(2)
    for row in rows.all():
        expect(row).to_contain_text(NO_WORKER.removesuffix("."))


def test_the_page_says_it_no_more_once_a_worker_renders(
    idle_server: Server, new_visitor: NewVisitor, worker: Worker, clips: list[Path]
) -> None:
    visitor = new_visitor(idle_server).open_signed_in()
    visitor.choose(clips[0]).upload(variations=1)
    expect(visitor.page.locator("#job-eta")).to_have_text(NO_WORKER)
    worker.start()
    visitor.wait_for_status("completed")
    expect(visitor.page.get_by_text("No worker").filter(visible=True)).to_have_count(0)
