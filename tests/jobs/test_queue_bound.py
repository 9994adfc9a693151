"""The queue has a bound: what would pass it is a 503, and costs the same however long it is."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import Connection, Place
from jobserver.errors import QueueFull
from jobserver.ids import generate_id
from jobserver.jobs import queue, retention
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile
from tests.db import older
from tests.jobs.steps import vm_steps
from tests.support import MP4_HEAD, Answer, Server, Site, file_part, form, read_answer

pytestmark = pytest.mark.both_databases

VIDEO = MP4_HEAD * 100
FULL = {"error": "The queue is full (at most 3 files); try again later", "code": "queue_full"}


@pytest.fixture
def database(place: Place) -> Iterator[Connection]:
    with closing(db.connect(place)) as database:
        yield database


def add_job(database: Connection, files: int, now: float = 0.0) -> str:
    names = [NewFile(generate_id(), "clip.mp4", f"{generate_id()}.mp4", 1) for _ in range(files)]
    draft = JobDraft(generate_id(), names, JobOptions(5, "subtle", 7))
    queue.insert_job(database, draft, now)
    return draft.id


def add_files(database: Connection, job_id: str, files: int) -> None:
    """Add rows alone, many at once."""
    rows = [{"job": job_id, "n": n, "id": f"{job_id}{n}"} for n in range(1, files + 1)]
    database.write_many(
        """INSERT INTO job_file (id, job_id, position, name, stored_name, size)
           VALUES (:id, :job, :n, 'clip.mp4', :id, 1)""",
        rows,
    )


def count(database: Connection) -> int:
    query = "SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing')"
    counted: int = database.value(query)
    return counted


# -- its length ---------------------------------------------------------------------------

ENDS: dict[str, Callable[[Connection, Claim, float], object]] = {
    "release": lambda database, claim, now: queue.release(database, claim, 0.5, now),
    "finish": queue.finish,
    "fail": lambda database, claim, now: queue.fail(database, claim, "It failed.", now),
    "reschedule": lambda database, claim, now: queue.reschedule(database, claim, 0, now=now),
    "crash": lambda *_: None,
}


@pytest.mark.parametrize("seed", range(5))
def test_its_length_is_what_counting_gives_whatever_happens(
    database: Connection, seed: int
) -> None:
    draw = random.Random(seed)
    jobs: list[str] = []
    for step in range(200):
        now = step * 100.0
        with db.exclusive(database, "queue"):
            deed = draw.choice(("add", "claim", "claim", "cancel", "retry", "delete"))
            if deed == "add" or not jobs:
                jobs.append(add_job(database, draw.randint(1, 10), now))
            elif deed == "claim":
                claim = queue.claim(database, "worker", 30, now)
                if claim is not None:
                    draw.choice(list(ENDS.values()))(database, claim, now)
            elif deed == "delete":
                job = jobs.pop(draw.randrange(len(jobs)))
                queue.cancel(database, job, now)
                retention.mark(database, [job], now)
                retention._delete_rows(database, [job], now)
            else:
                getattr(queue, deed)(database, draw.choice(jobs), now)
        assert queue.length(database) == count(database)


def test_a_transaction_that_is_undone_leaves_its_length(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        add_job(database, 2)

    def add_and_break_a_rule() -> None:
        with db.exclusive(database, "queue"):
            add_job(database, 5)
            database.write("UPDATE job SET variations_per_video = 0")

    with pytest.raises(db.ConstraintViolated):
        add_and_break_a_rule()
    assert queue.length(database) == 2


@pytest.mark.sqlite_only
@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_upgrade_counts_what_waits(tmp_path: Path, version: int) -> None:
    path = tmp_path / "db.sqlite3"
    older.make_database(path, version)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert queue.length(database) == count(database) > 0


@pytest.mark.sqlite_only
def test_rows_that_another_program_adds_are_counted(database: Connection, tmp_path: Path) -> None:
    """As a server of the version before does, while this one starts."""
    with db.exclusive(database, "queue"):
        job = add_job(database, 1)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other, other:
        other.execute(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES ('f', ?, 1, 'n', 's', 1)",
            (job,),
        )
    assert queue.length(database) == 2


@pytest.mark.sqlite_only
def test_judging_an_upload_costs_the_same_with_20_files_as_with_20_000(
    database: Connection,
) -> None:
    costs = []
    for files in (20, 19_980):
        with db.exclusive(database, "queue"):
            job = add_job(database, 1)
            add_files(database, job, files - 1)
        costs.append(vm_steps(database, lambda: queue.require_room(database, 100_000, 10)))
    assert queue.length(database) == 20_000
    assert costs[0] == costs[1] < 50


def test_it_is_full_when_one_more_would_be_too_many(database: Connection) -> None:
    with db.exclusive(database, "queue"):
        add_job(database, 7)
    queue.require_room(database, 10, 3)
    queue.require_room(database, 7, 0)
    with pytest.raises(QueueFull) as raised:
        queue.require_room(database, 10, 4)
    assert str(raised.value) == "The queue is full (at most 10 files); try again later"
    assert raised.value.retry_after
    assert "at most 100,000 files" in str(QueueFull(100_000))


# -- over HTTP ----------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that queues three files at most."""
    site = Site(tmp_path)
    site.change_settings(max_queued_files=3)
    return site


def post(site: Site, files: int):
    return site.post(*(file_part(VIDEO, f"{n}.mp4") for n in range(files)))


def check_refused(site: Site, answer) -> None:
    assert (answer.status_code, answer.json) == (503, FULL)
    assert int(answer.headers["Retry-After"]) > 0


def test_an_upload_that_would_pass_the_bound_is_a_503_and_leaves_nothing(site: Site) -> None:
    assert post(site, 2).status_code == 202
    kept = site.server.uploads()
    check_refused(site, post(site, 2))
    assert site.server.uploads() == kept
    assert len(site.rows("SELECT id FROM job")) == 1
    assert post(site, 1).status_code == 202
    check_refused(site, post(site, 1))


def test_what_was_cancelled_makes_room_and_a_retry_takes_it_again(site: Site) -> None:
    job = post(site, 2).json["jobId"]
    assert site.post_action(job, "cancel").status_code == 200
    assert post(site, 2).status_code == 202
    check_refused(site, site.post_action(job, "retry"))
    assert site.show(job)["status"] == "cancelled"
    other = post(site, 1).json["jobId"]
    check_refused(site, site.post_action(job, "retry"))
    assert site.post_action(other, "cancel").status_code == 200
    site.change_settings(max_queued_files=4)
    assert site.post_action(job, "retry").status_code == 202
    assert site.post_action(job, "retry").status_code == 409  # nothing to retry, full or not


def test_an_upload_that_is_refused_evicts_nothing(site: Site) -> None:
    ended = post(site, 3).json["jobId"]
    site.post_action(ended, "cancel")
    assert post(site, 2).status_code == 202
    site.change_settings(storage_quota=6 * len(VIDEO))
    check_refused(site, post(site, 2))
    assert site.show(ended)["status"] == "cancelled"


@pytest.fixture
def bounded(own_server: Server) -> Server:
    """A running server that queues three files at most."""
    own_server.settings["MAX_QUEUED_FILES"] = "3"
    return own_server.start()


def test_a_full_queue_is_said_before_a_byte_of_the_body_is_read(bounded: Server) -> None:
    assert bounded.upload(*[MP4_HEAD] * 3).status == 202
    with bounded.begin_upload(1000) as sock:
        answer = read_answer(sock)
    assert (answer.status, answer.json) == (503, FULL)
    assert int(answer.headers["Retry-After"]) > 0
    bounded.check_sound(allowed_5xx=(503,))


def test_uploads_at_the_same_time_do_not_pass_the_bound_together(bounded: Server) -> None:
    body = form(file_part(MP4_HEAD))
    assert bounded.token
    with ThreadPoolExecutor(8) as threads:
        answers: list[Answer] = list(threads.map(lambda _: bounded.post(body), range(8)))
    assert sorted(answer.status for answer in answers) == [202] * 3 + [503] * 5
    assert len(bounded.rows("SELECT id FROM job_file")) == 3
    bounded.check_sound(allowed_5xx=(503,))
