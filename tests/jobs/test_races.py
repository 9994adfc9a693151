"""What must not happen when processes, on SQLite, or hosts, on PostgreSQL, do it at once."""

import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from jobserver.auth import throttle
from jobserver.db import Connection, Place, connect, exclusive, removing
from jobserver.errors import QuotaExceeded
from jobserver.jobs import queries, queue, quota, retention
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from jobserver.jobs.quota import SpaceLimits
from tests.jobs import steps
from tests.jobs.steps import LEASE_S, NOW, claim, claim_next, insert_job, new_output

pytestmark = pytest.mark.both_databases

ROUNDS = 10


def at_once(place: Place, *actions: Callable[[Connection], Any]) -> list[Any]:
    """Run each action in a process of its own, all at the same moment; return their results."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(len(actions)), context.SimpleQueue()

    def act(number: int, action: Callable[[Connection], Any]) -> None:
        with closing(connect(place, 30)) as own:
            own.value("SELECT 1")  # connected
            barrier.wait(30)
            try:
                results.put((number, action(own)))
            except Exception as error:
                results.put((number, repr(error)))

    processes = [context.Process(target=act, args=each) for each in enumerate(actions)]
    for process in processes:
        process.start()
    returned = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
    return [returned[number] for number in range(len(actions))]


# -- claims -----------------------------------------------------------------------------


def test_four_who_claim_at_once_get_four_files(place: Place, db: Connection) -> None:
    for n in range(ROUNDS):
        insert_job(db, f"job{n}", files=4, at=NOW - n)

        def claim_one(own: Connection) -> str:
            return claim(own).id

        assert sorted(at_once(place, *[claim_one] * 4)) == [f"job{n}.{m}" for m in range(4)]
    assert db.value("SELECT MAX(attempts) FROM job_file") == 1


def test_claims_of_one_job_at_once_record_each_change_once(place: Place, db: Connection) -> None:
    for n in range(ROUNDS):
        insert_job(db, f"job{n}", files=4, at=NOW - n)
        at_once(place, *[lambda own: claim(own).id] * 4)
    query = """
        SELECT COUNT(*) FROM event WHERE kind = 'job.processing' GROUP BY job_id"""
    assert db.column(query) == [1] * ROUNDS
    query = "SELECT COUNT(*) FROM event WHERE kind = 'file.processing' GROUP BY file_id"
    assert db.column(query) == [1] * 4 * ROUNDS


def test_a_claim_that_another_took_over_ends_for_one_of_them(place: Place, db: Connection) -> None:
    """The one whose lease has ended publishes while another claims the file."""
    for n in range(ROUNDS):
        insert_job(db, f"job{n}", at=NOW - n)
        first = claim(db, NOW)

        def take_over(own: Connection) -> bool:
            return claim_next(own, NOW + LEASE_S + 1) is not None

        published, taken = at_once(
            place, lambda own, first=first: steps.publish(own, first, 1, last=True), take_over
        )
        assert published != taken
        assert len(queries.outputs_of(db, f"job{n}")) == published
        if taken:  # so that the next round begins with its own
            steps.cancel(db, f"job{n}")


# -- cancel, retry, removal -------------------------------------------------------------


def test_a_job_is_published_or_cancelled_never_both(place: Place, db: Connection) -> None:
    ends = []
    for n in range(2 * ROUNDS):
        insert_job(db, f"job{n}", at=NOW - n)
        held = claim(db)
        pauses = [random.uniform(0, 0.01) for _ in range(2)]

        def publish(own: Connection, held=held, pause=pauses[0]) -> bool:  # type: ignore[no-untyped-def]
            time.sleep(pause)
            with exclusive(own, "publish"):
                if is_held := queue.finish(own, held, NOW):
                    queue.insert_outputs(own, held, [new_output(held, 1)], NOW)
            return is_held

        def cancel(own: Connection, job_id=f"job{n}", pause=pauses[1]) -> bool:  # type: ignore[no-untyped-def]
            time.sleep(pause)
            return steps.cancel(own, job_id) == 1

        published, cancelled = at_once(place, publish, cancel)
        assert published != cancelled
        assert len(queries.outputs_of(db, f"job{n}")) == published
        ends.append(published)
    assert queue.length(db) == 0


def test_a_job_that_is_removed_has_nothing_queued(place: Place, db: Connection) -> None:
    for n in range(2 * ROUNDS):
        insert_job(db, f"job{n}")
        steps.cancel(db, f"job{n}")

        def remove(own: Connection, job_id=f"job{n}") -> bool:  # type: ignore[no-untyped-def]
            with removing(own, "queue"):
                return retention.mark(own, [job_id], NOW) == 1

        def retry(own: Connection, job_id=f"job{n}") -> bool:  # type: ignore[no-untyped-def]
            return steps.retry(own, job_id) == 1

        removed, retried = at_once(place, remove, retry)
        assert removed != retried
    query = """
        SELECT COUNT(*) FROM job JOIN job_file ON job_file.job_id = job.id
        WHERE removed_at IS NOT NULL AND status = 'queued'"""
    assert db.value(query) == 0


# -- counting ---------------------------------------------------------------------------


def test_two_uploads_never_take_the_room_of_one(place: Place, db: Connection) -> None:
    limits = SpaceLimits(quota=1000, min_free=0)
    for n in range(ROUNDS):

        def upload(own: Connection, job_id: str) -> bool:
            draft = JobDraft(
                job_id, [NewFile(job_id, "a.mp4", job_id, 600)], JobOptions(1, "subtle", 3)
            )
            try:
                with exclusive(own, "quota"):
                    quota.reserve(own, limits, draft.size, NOW)
                    queue.insert_job(own, draft, NOW)
            except QuotaExceeded:
                return False
            return True

        both = at_once(place, *[partial(upload, job_id=f"job{n}-{who}") for who in "ab"])
        assert sorted(both) == [False, True]
        assert quota.used_bytes(db) == 600
        with exclusive(db, "queue"):
            for table in ("event", "job_file", "job"):
                db.write(f"DELETE FROM {table}")  # noqa: S608
    assert queue.length(db) == 0


def test_of_20_wrong_passwords_at_once_five_are_answered(place: Place) -> None:
    def guess(own: Connection) -> bool:
        with removing(own, "sign-in"):
            now = own.clock()
            return throttle.record_attempt(own, "192.0.2.1", correct=False, now=now) == 0

    assert sum(at_once(place, *[guess] * 20)) == throttle.FREE_FAILURES
