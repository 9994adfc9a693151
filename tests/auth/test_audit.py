"""The audit: rows that are added, read and, when they are old, removed; none is changed."""

import json

import pytest

from jobserver.auth import audit
from jobserver.auth.audit import MOST_A_MINUTE, Actor
from jobserver.db import Connection, DatabaseError, exclusive

pytestmark = pytest.mark.both_databases

AT = 1_800_000_000.0
KEY = Actor("key abc", "192.0.2.1")


def record(db: Connection, at: float = AT, actor: Actor = KEY, job_id: str = "job") -> None:
    with exclusive(db, "quota"):
        audit.record(db, actor, "job.cancel", at, job_id=job_id, why="test")


def test_an_act_is_read_as_it_was_recorded(db: Connection) -> None:
    record(db)
    (entry,) = audit.entries(db, 10)
    assert entry[1:-1] == (AT, "key abc", "job.cancel", "job", "192.0.2.1")
    assert json.loads(entry.data) == {"why": "test"}


def test_the_latest_are_read_by_job_and_by_actor(db: Connection) -> None:
    for n in range(4):
        record(db, AT + n, Actor(f"key {n % 2}", None), f"job{n // 2}")
    assert [entry.at - AT for entry in audit.entries(db, 3)] == [1, 2, 3]
    assert [entry.at - AT for entry in audit.entries(db, 9, job_id="job1")] == [2, 3]
    assert [entry.at - AT for entry in audit.entries(db, 9, actor="key 1")] == [1, 3]
    assert [entry.at for entry in audit.entries(db, 9, job_id="job1", actor="key 1")] == [AT + 3]


def test_no_row_can_be_changed(db: Connection) -> None:
    record(db)
    with pytest.raises((DatabaseError, Exception), match="only added to"), exclusive(db, "quota"):
        db.write("UPDATE audit SET actor = 'key other'")
    assert [entry.actor for entry in audit.entries(db, 9)] == ["key abc"]


def test_what_is_old_is_removed(db: Connection) -> None:
    for n in range(4):
        record(db, AT + n)
    with exclusive(db, "housekeeping"):
        audit.forget(db, AT + 2)
    assert [entry.at - AT for entry in audit.entries(db, 9)] == [2, 3]


def test_a_flood_of_sign_ins_is_recorded_so_often_a_minute(db: Connection) -> None:
    def attempts(count: int, at: float) -> int:
        for n in range(count):
            with exclusive(db, "sign-in"):
                audit.record_sign_in(db, KEY, "sign-in.failed", at + n / count)
        return len(audit.entries(db, 1000))

    assert attempts(2 * MOST_A_MINUTE, AT) == MOST_A_MINUTE
    with exclusive(db, "sign-in"):
        audit.record_sign_in(db, KEY, "sign-in", AT + 2)  # others are counted by themselves
    assert attempts(2 * MOST_A_MINUTE, AT + 61) == 2 * MOST_A_MINUTE + 1
