"""A key is held by one request at a time, and kept as long as the job that it made."""

from contextlib import closing

import pytest

from jobserver.db import Connection, Place, connect, exclusive
from jobserver.errors import IdempotencyKeyInUse
from jobserver.jobs import idempotency, retention
from jobserver.jobs.idempotency import ABANDONED_S, LEASE_S, Holder, Kept
from tests.jobs.steps import insert_job
from tests.support import together

pytestmark = pytest.mark.both_databases

AT = 1_800_000_000.0
MADE = Kept("fingerprint", '{"jobId": "job"}')
FIRST, SECOND = Holder("session", "key", "first"), Holder("session", "key", "second")


def take(db: Connection, holder: Holder, now: float = AT) -> bool:
    with exclusive(db, "quota"):
        return idempotency.take(db, holder, now)


def keep(db: Connection, holder: Holder, job_id: str = "job") -> None:
    """Make the job of a request, in one transaction with its key."""
    insert_job(db, job_id, 1)
    with exclusive(db, "quota"):
        idempotency.keep(db, holder, job_id, MADE)


def rows(db: Connection) -> list[str]:
    return db.column("SELECT holder FROM idempotency_key")


def test_one_request_holds_a_key(db: Connection) -> None:
    assert take(db, FIRST)
    assert not take(db, SECOND)
    assert idempotency.kept(db, SECOND) is None


def take_one(place: Place) -> bool:
    with closing(connect(place)) as db:
        return take(db, Holder("session", "key", str(id(db))))


def test_of_many_processes_at_once_one_takes_it(place: Place) -> None:
    assert sorted(together(6, take_one, place)) == [False] * 5 + [True]


@pytest.mark.parametrize("other", [("session", "Key"), ("another", "key")])
def test_another_key_and_the_same_key_of_another_bearer_are_free(
    db: Connection, other: tuple[str, str]
) -> None:
    assert take(db, FIRST)
    keep(db, FIRST)
    another = Holder(*other, "second")
    assert idempotency.kept(db, another) is None
    assert take(db, another)


def test_who_holds_it_no_more_makes_no_job(db: Connection) -> None:
    assert take(db, FIRST)
    assert not take(db, SECOND, AT + LEASE_S - 1)
    assert take(db, SECOND, AT + LEASE_S)
    with pytest.raises(IdempotencyKeyInUse):
        keep(db, FIRST)
    keep(db, SECOND, "other job")
    assert idempotency.kept(db, FIRST) == MADE


def test_a_lease_that_is_renewed_does_not_end(db: Connection) -> None:
    assert take(db, FIRST)
    with exclusive(db, "quota"):
        assert idempotency.renew(db, FIRST, AT + LEASE_S / 2)
        assert not idempotency.renew(db, SECOND, AT)
    assert not take(db, SECOND, AT + LEASE_S)


def test_a_lease_of_a_clock_that_was_set_back_has_ended(db: Connection) -> None:
    assert take(db, FIRST, AT + 3 * LEASE_S)
    assert take(db, SECOND, AT)


def test_what_was_made_is_kept_until_its_job_is_deleted(db: Connection) -> None:
    assert take(db, FIRST)
    keep(db, FIRST)
    assert not take(db, SECOND, AT + 10 * ABANDONED_S)
    assert idempotency.kept(db, SECOND) == MADE
    with exclusive(db, "queue"):
        db.write("UPDATE job_file SET status = 'cancelled'")
        assert retention.mark(db, ["job"], AT) == 1
    assert idempotency.kept(db, SECOND) is None
    with exclusive(db, "queue"):
        retention._delete_rows(db, ["job"], AT)
    assert rows(db) == []


def test_the_key_of_a_job_that_is_being_deleted_makes_another(db: Connection) -> None:
    assert take(db, FIRST)
    keep(db, FIRST)
    with exclusive(db, "queue"):
        db.write("UPDATE job_file SET status = 'cancelled'")
        retention.mark(db, ["job"], AT)
    assert take(db, SECOND)
    assert idempotency.kept(db, SECOND) is None
    keep(db, SECOND, "other job")
    assert idempotency.kept(db, SECOND) == MADE


def test_a_request_that_made_no_job_lets_its_key_go(db: Connection) -> None:
    assert take(db, FIRST)
    with exclusive(db, "quota"):
        idempotency.release(db, SECOND)
    assert rows(db) == ["first"]
    with exclusive(db, "quota"):
        idempotency.release(db, FIRST)
    assert rows(db) == []


def test_a_request_that_made_its_job_keeps_its_key(db: Connection) -> None:
    assert take(db, FIRST)
    keep(db, FIRST)
    with exclusive(db, "quota"):
        idempotency.release(db, FIRST)
    assert idempotency.kept(db, FIRST) == MADE


def test_what_nobody_repeats_is_forgotten(db: Connection) -> None:
    take(db, FIRST)
    keep(db, FIRST)
    take(db, Holder("session", "held", "held"), AT + LEASE_S)
    take(db, Holder("session", "dead", "dead"))
    with exclusive(db, "housekeeping"):
        idempotency.forget_abandoned(db, AT + LEASE_S + ABANDONED_S + 1)
    assert sorted(rows(db)) == ["first", "held"]
