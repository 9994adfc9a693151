"""Every change of state is an event, recorded with the change or not at all."""

import json
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from jobserver.db import Connection, Place, claiming, connect, exclusive
from jobserver.files.local import LocalStore
from jobserver.jobs import events, ownership, queue, retention
from jobserver.jobs.events import Event
from jobserver.jobs.model import JobDraft, JobOptions
from jobserver.jobs.queue import NewOutput
from tests.jobs import steps
from tests.jobs.steps import LEASE_S, NOW, insert_job, new_files

pytestmark = pytest.mark.both_databases


def kinds(db: Connection, job_id: str = "a", since: int = 0) -> list[str]:
    return [event.kind for event in events.events_of(db, job_id)][since:]


def of_files(db: Connection, job_id: str = "a", since: int = 0) -> list[tuple[str, str | None]]:
    """Return kind and file of a job's events."""
    return [(event.kind, event.file_id) for event in events.events_of(db, job_id)][since:]


# -- a job's life -------------------------------------------------------------------------


def test_the_events_of_one_job_are_its_life(db: Connection) -> None:
    insert_job(db, "a", files=1, at=NOW)
    steps.publish(db, steps.claim(db, NOW + 1), 1, 2, now=NOW + 2)
    steps.publish(db, steps.claim(db, NOW + 3), 3, now=NOW + 4, last=True)
    found = events.events_of(db, "a")
    assert [event.id for event in found] == sorted(event.id for event in found)
    assert [event[1:] for event in found] == [
        ("a", "a.0", None, "file.queued", NOW, "{}"),
        ("a", None, None, "job.queued", NOW, "{}"),
        ("a", "a.0", None, "file.processing", NOW + 1, "{}"),
        ("a", None, None, "job.processing", NOW + 1, "{}"),
        ("a", "a.0", "a.0.1", "output.ready", NOW + 2, "{}"),
        ("a", "a.0", "a.0.2", "output.ready", NOW + 2, "{}"),
        ("a", "a.0", "a.0.3", "output.ready", NOW + 4, "{}"),
        ("a", "a.0", None, "file.completed", NOW + 4, "{}"),
        ("a", None, None, "job.completed", NOW + 4, "{}"),
    ]
    assert {type(event) for event in found} == {Event}


def test_a_job_of_several_files_ends_with_the_last(db: Connection) -> None:
    insert_job(db, "a", files=2)
    assert of_files(db) == [("file.queued", "a.0"), ("file.queued", "a.1"), ("job.queued", None)]
    steps.publish(db, steps.claim(db), 1, last=True)
    steps.fail(db, steps.claim(db), NOW)
    assert of_files(db, since=3) == [
        ("file.processing", "a.0"),
        ("job.processing", None),
        ("output.ready", "a.0"),
        ("file.completed", "a.0"),
        ("file.processing", "a.1"),
        ("file.failed", "a.1"),
        ("job.completed", None),  # one of its files is
    ]


def test_a_failed_file_says_why(db: Connection) -> None:
    insert_job(db, "a")
    steps.fail(db, steps.claim(db), NOW + 5, 'This video "a" cannot be read.')
    failed, job = events.events_of(db, "a")[-2:]
    assert (failed.kind, failed.file_id, failed.at) == ("file.failed", "a.0", NOW + 5)
    assert json.loads(failed.data) == {"error": 'This video "a" cannot be read.'}
    assert (job.kind, job.file_id, job.data) == ("job.failed", None, "{}")


def test_a_cancelled_job_says_so_of_each_file_that_had_not_ended(db: Connection) -> None:
    insert_job(db, "a", files=3)
    steps.fail(db, steps.claim(db), NOW)
    steps.claim(db)
    before = len(kinds(db))
    assert steps.cancel(db, "a", NOW + 9) == 2
    assert of_files(db, since=before) == [
        ("file.cancelled", "a.1"),
        ("file.cancelled", "a.2"),
        ("job.cancelled", None),
    ]
    assert {event.at for event in events.events_of(db, "a")[before:]} == {NOW + 9}


def test_a_retried_job_begins_again(db: Connection) -> None:
    insert_job(db, "a")
    steps.fail(db, steps.claim(db), NOW, "No.")
    before = len(kinds(db))
    assert steps.retry(db, "a", NOW + 60) == 1
    steps.publish(db, steps.claim(db, NOW + 61), 1, now=NOW + 62, last=True)
    assert kinds(db, since=before) == [
        "file.queued",
        "job.queued",
        "file.processing",
        "job.processing",
        "output.ready",
        "file.completed",
        "job.completed",
    ]
    assert events.events_of(db, "a")[before].at == NOW + 60
    assert {event.data for event in events.events_of(db, "a")[before:]} == {"{}"}


def test_a_retry_of_one_of_two_files_makes_the_job_run_again(db: Connection) -> None:
    insert_job(db, "a", files=2)
    steps.publish(db, steps.claim(db), 1, last=True)
    steps.fail(db, steps.claim(db), NOW)
    before = len(kinds(db))
    assert steps.retry(db, "a") == 1
    assert of_files(db, since=before) == [("file.queued", "a.1"), ("job.processing", None)]


def test_a_file_that_fails_twice_has_both_events(db: Connection) -> None:
    insert_job(db, "a")
    for n in range(2):
        steps.fail(db, steps.claim(db), NOW + n)
        steps.retry(db, "a")
    assert kinds(db).count("file.failed") == kinds(db).count("job.failed") == 2


# -- what is no change ----------------------------------------------------------------------


UNCHANGING: dict[str, Callable[[Connection], object]] = {
    "a renewed lease": lambda db: steps.renew(db, steps.claim(db), 0.5, NOW),
    "a recorded source": lambda db: steps.record_source(db, steps.claim(db)),
    "a group without outputs": lambda db: steps.publish(db, steps.claim(db)),
    "a delay": lambda db: steps.reschedule(db, steps.claim(db), 30),
    "another worker": lambda db: [steps.claim(db), steps.claim(db, NOW + LEASE_S)],
}


@pytest.mark.parametrize("do", UNCHANGING.values(), ids=UNCHANGING)
def test_what_changes_no_status_is_no_event(
    db: Connection, do: Callable[[Connection], object]
) -> None:
    insert_job(db, "a")
    assert do(db)
    assert kinds(db) == ["file.queued", "job.queued", "file.processing", "job.processing"]


def test_what_happens_to_one_job_is_no_event_of_another(db: Connection) -> None:
    for job_id in "ab":
        insert_job(db, job_id)
    before = kinds(db, "b")
    steps.publish(db, steps.claim(db), 1, last=True)
    assert kinds(db, "b") == before == ["file.queued", "job.queued"]


@pytest.mark.parametrize("step", [steps.cancel, steps.retry])
def test_what_there_is_nothing_to_do_about_is_no_event(
    db: Connection, step: Callable[..., int]
) -> None:
    insert_job(db, "a")
    steps.publish(db, steps.claim(db), 1, last=True)
    before = kinds(db)
    assert step(db, "a") == 0
    assert step(db, "unknown") == 0
    assert kinds(db) == before
    assert kinds(db, "unknown") == []


def test_a_worker_that_lost_its_file_records_nothing(db: Connection) -> None:
    insert_job(db, "a")
    held = steps.claim(db)
    steps.cancel(db, "a")
    before = kinds(db)
    assert not steps.fail(db, held, NOW)
    assert not steps.publish(db, held, 1, last=True)
    assert kinds(db) == before


# -- with the change or not at all ------------------------------------------------------------


def insert(db: Connection) -> None:
    draft = JobDraft("new", new_files("new"), JobOptions(5, "subtle", 3))
    queue.insert_job(db, draft, NOW)


def claim_and_finish(db: Connection) -> None:
    held = queue.claim(db, "w", LEASE_S, NOW)
    assert held is not None
    assert queue.finish(db, held, NOW)
    outputs: list[NewOutput] = [steps.new_output(held, 1)]
    queue.insert_outputs(db, held, outputs, NOW)


@pytest.mark.parametrize(
    "change", [insert, claim_and_finish, lambda db: queue.cancel(db, "a", NOW)]
)
def test_a_transaction_that_rolls_back_records_nothing(
    db: Connection, change: Callable[[Connection], object]
) -> None:
    insert_job(db, "a")
    before = everything(db)
    with suppress(InterruptedError), exclusive(db, "queue"):
        change(db)
        assert everything(db) != before
        raise InterruptedError
    assert everything(db) == before
    with exclusive(db, "queue"):
        change(db)
    assert everything(db) != before


def everything(db: Connection) -> list[tuple[object, ...]]:
    rows = db.execute("SELECT id, status FROM job_file").fetchall()
    return [tuple(row) for row in rows + db.execute("SELECT * FROM event").fetchall()]


def test_nobody_sees_an_event_before_its_change(db: Connection, place: Place) -> None:
    insert_job(db, "a")
    with closing(connect(place)) as other:
        before = everything(other)
        with claiming(db):
            assert queue.claim(db, "w", LEASE_S, NOW)
            assert everything(other) == before
        assert kinds(other)[-2:] == ["file.processing", "job.processing"]


# -- removing -------------------------------------------------------------------------------


def test_a_removed_output_is_an_event(db: Connection) -> None:
    insert_job(db, "a")
    steps.publish(db, steps.claim(db), 1, 2, last=True)
    with exclusive(db, "publish"):
        events.record_outputs(db, "a", "a.0", kind="output.removed", ids=["a.0.2"], now=NOW + 7)
    last = events.events_of(db, "a")[-1]
    assert last[1:] == ("a", "a.0", "a.0.2", "output.removed", NOW + 7, "{}")
    with exclusive(db, "queue"):
        events.record_changes(db, "a", NOW + 8)
    assert events.events_of(db, "a")[-1] == last  # the file is as completed as it was


def test_deleting_a_job_deletes_its_events_and_no_others(db: Connection, store: LocalStore) -> None:
    ownership.adopt_unowned(db, store)
    gone, kept = "a".ljust(22, "a"), "b".ljust(22, "b")
    for job_id in (gone, kept):
        insert_job(db, job_id, files=2)
    for held in [steps.claim(db) for _ in range(4)]:
        steps.publish(db, held, 1)
    before = events.events_of(db, kept)
    assert retention.delete(db, store, gone, NOW)
    assert events.events_of(db, gone) == []
    assert events.events_of(db, kept) == before
    assert db.column("SELECT DISTINCT job_id FROM event") == [kept]


def test_recording_needs_a_transaction(db: Connection) -> None:
    insert_job(db, "a")
    with pytest.raises(RuntimeError, match="transaction"):
        events.record_outputs(db, "a", "a.0", kind="output.ready", ids=["o"], now=NOW)
    assert kinds(db) == ["file.queued", "job.queued"]
