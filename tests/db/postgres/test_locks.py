"""Who waits for whom: one general lock, and locks of rows for claims."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver import db
from jobserver.db import Connection, DatabaseBusy
from jobserver.jobs import events, queue
from tests.jobs import steps
from tests.jobs.steps import LEASE_S, NOW, claim, claim_next, insert_job

pytestmark = pytest.mark.tools


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    """Another connection; it waits 0.3 s for a lock."""
    with closing(db.connect(url, 0.3)) as other:
        yield other


def test_what_a_worker_writes_about_its_claim_waits_for_nobody_who_writes_alone(
    database: Connection, other: Connection
) -> None:
    insert_job(database, "a", files=3)
    held = claim(database)
    with db.exclusive(database, "quota"):
        assert claim(other).id == "a.1"
        assert steps.renew(other, held, 0.5, NOW)
        assert steps.record_source(other, held)
        assert steps.reschedule(other, held, 5.0)


def test_a_file_that_is_being_claimed_is_passed_over(
    database: Connection, other: Connection
) -> None:
    insert_job(database, "a", at=NOW - 1)
    insert_job(database, "b")
    with db.claiming(database):
        first = queue.claim(database, "w", LEASE_S, NOW)
        assert first is not None
        assert first.id == "a.0"
        assert queue.has_claimable(other, LEASE_S, NOW)
        assert claim(other).id == "b.0"
        assert claim_next(other) is None
    assert claim_next(other) is None


def test_a_claim_does_not_touch_the_length_of_the_queue(
    database: Connection, other: Connection
) -> None:
    insert_job(database, "a", files=2)
    insert_job(database, "b")
    with db.exclusive(database, "queue"):
        assert queue.cancel(database, "b", NOW) == 1  # holds the row until it commits
        assert claim(other).id == "a.0"


def test_a_heartbeat_touches_nothing_that_all_jobs_share(
    database: Connection, other: Connection
) -> None:
    insert_job(database, "a")
    insert_job(database, "b")
    held = claim(database)
    with db.exclusive(database, "queue"):
        database.write("UPDATE queue_sum SET work = work")  # as at the end of a claim
        database.write("UPDATE queue_length SET files = files")
        assert steps.renew(other, held, 0.5, NOW)


def test_a_cancel_waits_for_a_claim_and_then_takes_its_file(
    database: Connection, other: Connection
) -> None:
    insert_job(database, "a")
    with db.claiming(database):
        held = queue.claim(database, "w", LEASE_S, NOW)
        assert held is not None
        with pytest.raises(DatabaseBusy):
            steps.cancel(other, "a")
    assert steps.cancel(other, "a") == 1
    assert not steps.renew(database, held, 0.5, NOW)
    kinds = [event.kind for event in events.events_of(database, "a")]
    assert kinds == [
        *("file.queued", "job.queued", "file.processing", "job.processing"),
        *("file.cancelled", "job.cancelled"),
    ]
