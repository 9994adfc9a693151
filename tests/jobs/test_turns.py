"""Whose turn it is: no job starves another, and no clock that was set keeps one waiting."""

import pytest

from jobserver.db import Connection, sqlite
from jobserver.jobs import queue
from tests.jobs import steps
from tests.jobs.steps import NOW, claim, claim_next, claimed_id, insert_job

pytestmark = pytest.mark.both_databases

YEAR = 365 * 24 * 3600.0

# -- clocks that were set -----------------------------------------------------------------


def test_a_lease_from_before_the_clock_was_set_back_has_ended(db: Connection) -> None:
    insert_job(db, "a")
    assert claimed_id(db, NOW + YEAR) == "a.0"
    assert claimed_id(db, NOW) == "a.0"
    assert claim_next(db, NOW - 1) is None  # a second is no set clock


def test_a_delay_from_before_the_clock_was_set_back_is_not_waited_for(db: Connection) -> None:
    insert_job(db, "a")
    assert steps.reschedule(db, claim(db, NOW + YEAR), 30, NOW + YEAR)
    assert claimed_id(db, NOW) == "a.0"


def test_a_year_forward_and_back_puts_no_job_behind_the_others(db: Connection) -> None:
    insert_job(db, "served", at=NOW - 20)
    assert steps.release(db, claim(db, NOW + YEAR), NOW + YEAR)
    insert_job(db, "made", at=NOW + YEAR)
    insert_job(db, "present", files=9, at=NOW - 10)
    turns = {claim(db, NOW + second).job_id for second in range(3)}
    assert turns == {"served", "made", "present"}


# -- turns --------------------------------------------------------------------------------


def test_a_job_of_one_waits_for_one_group_of_a_large_job_and_no_more(db: Connection) -> None:
    insert_job(db, "large", files=10)
    for second in range(4):
        assert steps.release(db, claim(db, NOW + second), NOW + second)
    running = claim(db, NOW + 10)
    insert_job(db, "small", at=NOW + 11)
    assert steps.release(db, running, NOW + 12)
    assert claimed_id(db, NOW + 13) == "small.0"


def test_a_stream_of_small_jobs_does_not_keep_a_large_one_waiting(db: Connection) -> None:
    insert_job(db, "large", files=10)
    served = []
    for second in range(20):
        insert_job(db, f"small{second}", at=NOW + second)
        held = claim(db, NOW + second)
        served.append(held.job_id)
        assert steps.publish(db, held, now=NOW + second, last=held.job_id != "large")
    turns = [n for n, job_id in enumerate(served) if job_id == "large"]
    assert len(turns) >= 4
    assert served[1:4] != ["large"] * 3


def test_a_file_that_was_begun_is_ended_before_the_next_of_its_job(db: Connection) -> None:
    insert_job(db, "a", files=3)
    for second in range(4):
        held = claim(db, NOW + second)
        assert held.id == "a.0"
        assert steps.publish(db, held, now=NOW + second, last=second == 3)
    assert claimed_id(db, NOW + 5) == "a.1"
    assert claimed_id(db, NOW + 6) == "a.2"


def test_older_jobs_come_first_when_none_was_served(db: Connection) -> None:
    insert_job(db, "b", at=NOW - 1)
    insert_job(db, "a", at=NOW - 2)
    insert_job(db, "c", at=NOW - 3)
    assert [claimed_id(db) for _ in range(4)] == ["c.0", "a.0", "b.0", ""]


# -- files that a worker need not fetch again -------------------------------------------------


def test_of_the_next_job_a_worker_gets_a_file_that_it_has(db: Connection) -> None:
    insert_job(db, "a", files=4)
    assert claimed_id(db, near=["a.2.mp4", "a.3.mp4"]) == "a.2"
    assert claimed_id(db, near=["a.2.mp4", "a.3.mp4"]) == "a.3"  # the other is held
    assert claimed_id(db, near=["a.2.mp4", "a.3.mp4"]) == "a.0"
    many = [f"x{n}.mp4" for n in range(queue.NEAR)]
    assert claimed_id(db, near=[*many, "a.1.mp4"]) == "a.1"


def test_what_a_worker_has_of_another_job_puts_that_before_none(db: Connection) -> None:
    insert_job(db, "first", files=2)
    insert_job(db, "second", at=NOW + 1)
    assert claimed_id(db, NOW + 2, near=["second.0.mp4"]) == "first.0"
    assert claimed_id(db, NOW + 3, near=["first.1.mp4"]) == "second.0"  # whose turn it is
    assert claimed_id(db, NOW + 4, near=["second.0.mp4"]) == "first.1"
    assert claimed_id(db, NOW + 5, near=["second.0.mp4"]) == ""


def test_a_file_that_waits_after_a_failed_attempt_is_not_taken_because_it_is_near(
    db: Connection,
) -> None:
    insert_job(db, "a", files=2)
    assert steps.reschedule(db, claim(db), 30, NOW)
    assert claimed_id(db, NOW + 1, near=["a.0.mp4"]) == "a.1"
    assert claimed_id(db, NOW + 31, near=["a.0.mp4"]) == "a.0"


def test_what_is_near_costs_no_look_at_the_rest_of_the_queue(db: Connection) -> None:
    """The files that are named are found by their names, not among all of the job."""
    insert_job(db, "a", files=300)
    insert_job(db, "b", files=3, at=NOW - 1)
    if isinstance(db, sqlite.SqliteConnection):
        near = [f"b.{n}.mp4" for n in range(queue.NEAR)]
        few = steps.vm_steps(db, lambda: claim_next(db, near=near))
        large = [f"a.{n}.mp4" for n in range(queue.NEAR)]
        many = steps.vm_steps(db, lambda: claim_next(db, near=large))
        assert many < 1.5 * few
