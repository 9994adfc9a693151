"""Which workers live: by the age of their rows."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobserver.db import Connection, Place, claiming, connect
from jobserver.errors import OldWorker
from jobserver.jobs import workers
from jobserver.jobs.workers import ALIVE_S, BEAT_S, KEPT_S, WaitsFor, Worker, Workforce

pytestmark = pytest.mark.both_databases

NOW = 1_800_000_000.0


@pytest.fixture
def table(place: Place) -> Iterator[Connection]:
    """A database without a job."""
    with closing(connect(place)) as db:
        yield db


def renew(
    db: Connection, name: str, at: float, waits_for: WaitsFor | None = None, threads: int = 1
) -> None:
    worker = Worker(name, f"host:{name}", threads, started_at=NOW - 999, waits_for=waits_for)
    with claiming(db):
        workers.renew(db, worker, at)


def test_without_a_row_no_worker_lives_and_none_was_seen(table: Connection) -> None:
    found = workers.workforce(table, NOW)
    assert found == Workforce(living=0, threads=0, last_seen=None, reported=None)
    assert found.waits_for == "no_worker"


def test_workers_live_for_30_seconds_after_their_last_heartbeat(table: Connection) -> None:
    renew(table, "a", NOW, threads=4)
    renew(table, "b", NOW - 20, threads=2)
    assert workers.workforce(table, NOW) == Workforce(2, 6, NOW, None)
    assert workers.workforce(table, NOW + 11) == Workforce(1, 4, NOW, None)
    dead = workers.workforce(table, NOW + ALIVE_S)
    assert (dead.living, dead.threads, dead.last_seen) == (0, 0, NOW)
    assert dead.waits_for == "no_worker"


def test_a_worker_that_freezes_is_dead_well_within_a_minute() -> None:
    assert 2 * BEAT_S < ALIVE_S < 60 - BEAT_S


def test_a_row_from_before_the_clock_was_set_back_is_of_nobody_who_lives(
    table: Connection,
) -> None:
    renew(table, "a", NOW + 3600)
    assert workers.workforce(table, NOW).living == 0
    renew(table, "a", NOW)  # its next heartbeat
    assert workers.workforce(table, NOW).living == 1


def test_they_wait_for_something_when_all_that_live_do(table: Connection) -> None:
    renew(table, "dead", NOW - 3600)
    renew(table, "a", NOW, "disk_space")
    assert workers.workforce(table, NOW).waits_for == "disk_space"
    renew(table, "b", NOW)
    assert workers.workforce(table, NOW).waits_for is None
    renew(table, "b", NOW, "storage_unavailable")
    assert workers.workforce(table, NOW).waits_for == "disk_space"


def test_a_worker_that_leaves_is_not_seen_any_more(table: Connection) -> None:
    renew(table, "a", NOW)
    with claiming(table):
        workers.leave(table, "a")
    assert workers.workforce(table, NOW) == workers.NOBODY


def test_work_for_newer_code_is_refused_while_older_code_lives(table: Connection) -> None:
    workers.require_version(table, 10, NOW)
    renew(table, "new", NOW)
    workers.require_version(table, 10, NOW)
    renew(table, "old", NOW)
    with claiming(table):
        table.write("UPDATE worker SET database_version = NULL WHERE id = 'old'")
    with pytest.raises(OldWorker):
        workers.require_version(table, 10, NOW + 1)
    renew(table, "new", NOW + ALIVE_S)
    workers.require_version(table, 10, NOW + ALIVE_S)


def test_rows_of_the_dead_are_forgotten_after_a_day(table: Connection) -> None:
    for name, at in (("old", NOW - KEPT_S - 1), ("dead", NOW - KEPT_S + 1), ("ahead", NOW + 3600)):
        renew(table, name, at)
    renew(table, "lives", NOW)
    with claiming(table):
        assert workers.forget_dead(table, NOW) == 2
    assert set(table.column("SELECT id FROM worker")) == {"dead", "lives"}
