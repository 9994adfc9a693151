"""Databases of versions 1 to 3 become what this version works with; nothing of them is lost."""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from jobserver import db
from jobserver.db import ClockNote, Connection, ConstraintViolated, sqlite
from jobserver.db.migrations import on_sqlite
from jobserver.jobs import events, queries, queue, retention
from jobserver.jobs.model import Output
from tests.db import older
from tests.db.older import AT, DATABASE_ID, DEFAULTS, STATUSES
from tests.support import together

VERSIONS = pytest.mark.parametrize("version", [1, 2, 3])


def check_kept(before: older.Rows, after: older.Rows) -> None:
    """Fail unless every row is there with every value, and new columns have their defaults."""
    kept = older.expected(before)
    for table, rows in kept.items():
        assert after[table].keys() == rows.keys()
        for row_id, row in rows.items():
            new = after[table][row_id]
            assert {name: new[name] for name in row} == row
            unset = {name: DEFAULTS[name] for name in DEFAULTS.keys() & new.keys() - row.keys()}
            assert {name: new[name] for name in unset} == unset


def check_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


@VERSIONS
def test_an_older_database_is_refused_until_it_is_upgraded(path: Path, version: int) -> None:
    older.make_database(path, version)
    with pytest.raises(db.DatabaseUnusable, match=f"it has version {version}, not "):
        db.check(path)
    with pytest.raises(db.DatabaseUnavailable):
        db.thread_connection(path)
    assert db.initialise(path) == db.latest_version()
    assert db.check(path) == DATABASE_ID
    assert db.thread_connection(path)


@VERSIONS
def test_an_upgrade_keeps_every_row(path: Path, version: int) -> None:
    older.make_database(path, version)
    before, statuses = older.rows_of(path), older.statuses_of(path)
    assert len(before["job"]) == 7
    assert len(before["job_file"]) == 16
    assert len(before.get("output", ())) == (0 if version == 1 else 20)
    db.initialise(path)
    check_kept(before, older.rows_of(path))
    assert older.statuses_of(path) == statuses
    assert {status for _, status in statuses.values()} == set(STATUSES)
    check_sound(path)


@VERSIONS
def test_an_upgrade_keeps_failures_to_sign_in_as_one_row_an_address(
    path: Path, version: int
) -> None:
    older.make_database(path, version)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        rows = database.execute("SELECT * FROM sign_in_failure ORDER BY address").fetchall()
    assert [tuple(row) for row in rows] == [
        ("2001:db8:0:7::/64", 1, AT - 5),
        ("203.0.113.7", 3, AT - 60),
    ]


def test_an_upgrade_keeps_the_time_that_the_housekeeping_noted_last(path: Path) -> None:
    """Else a clock that jumped before the upgrade would delete everything after it."""
    older.make_database(path, 3)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert db.clock_note(database) == ClockNote(AT, AT)
        assert database.value("SELECT 1 FROM meta WHERE name = 'last_seen'") is None


@VERSIONS
def test_a_database_whose_housekeeping_never_ran_has_no_clock_note(
    path: Path, version: int
) -> None:
    older.make_database(path, version)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM meta WHERE name = 'last_seen'")
        database.commit()
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert db.clock_note(database) is None


@VERSIONS
def test_references_hold_after_an_upgrade(path: Path, version: int) -> None:
    older.make_database(path, version)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        parents = {
            table: [row["table"] for row in database.execute(f"PRAGMA foreign_key_list({table})")]
            for table in ("job_file", "output")
        }
        assert parents == {"job_file": ["job"], "output": ["job_file"]}
        for statement in (
            "UPDATE job_file SET job_id = 'none' WHERE job_id = 'queued'",
            "DELETE FROM job WHERE id = 'queued'",
            "INSERT INTO output (id, file_id, number, name, size, sha256, parameters, seconds,"
            " created_at) VALUES ('o', 'none', 1, 'n', 1, '', '{}', 1, 0)",
        ):
            with pytest.raises(ConstraintViolated, match="FOREIGN KEY"):
                database.execute(statement)


@VERSIONS
def test_an_upgraded_database_is_the_same_as_a_new_one(path: Path, version: int) -> None:
    older.make_database(path, version)
    db.initialise(path)
    new = path.with_name("new.sqlite3")
    db.initialise(new)
    assert schema_of(path) == schema_of(new)
    assert not [name for name in schema_of(path) if name.startswith("new_")]


def schema_of(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master").fetchall())


@VERSIONS
def test_the_queue_goes_on_in_an_upgraded_database(path: Path, version: int) -> None:
    older.make_database(path, version)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert claim_all(database, AT + 60) == {
            "queued.0": 1,
            "queued.1": 1,
            "processing.0": 1 if version == 1 else 4,
            "processing.1": 1 if version == 1 else 4,
            "queued-processing-completed-failed-cancelled.0": 1,
            "queued-processing-completed-failed-cancelled.1": 1 if version == 1 else 4,
        }
        state = queries.job_state(database, "processing")
        assert state is not None
        assert [each.status for each in state.files] == ["processing"] * 2
        ended = {job.id for job in retention.ended_jobs(database)}
        unmarked = {"completed", "failed", "cancelled"}
        assert ended == (unmarked if version == 3 else {*unmarked, "removed"})
        outputs = queries.outputs_of(database, "completed")
        assert all(isinstance(output, Output) for output in outputs)
        assert len(outputs) == (0 if version == 1 else 4)
        unfinished = "SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing')"
        assert database.value("SELECT files FROM queue_length") == database.value(unfinished) == 6


def claim_all(database: Connection, now: float) -> dict[str, int]:
    """Claim until nothing is left; return the claim tokens by file."""
    claims = []
    with db.claiming(database):
        while claim := queue.claim(database, "worker", 30, now):
            claims.append(claim)
    return {claim.id: claim.claim_token for claim in claims}


def test_events_of_an_upgraded_job_begin_with_its_next_change(path: Path) -> None:
    older.make_database(path, 3)
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert events.events_of(database, "queued") == []
        with db.exclusive(database, "queue"):
            assert queue.cancel(database, "queued", AT) == 2
        kinds = [event.kind for event in events.events_of(database, "queued")]
        assert kinds == ["file.cancelled", "file.cancelled", "job.cancelled"]


# -- repeated, at once, and killed ----------------------------------------------------


@VERSIONS
def test_an_upgrade_that_is_repeated_changes_nothing(path: Path, version: int) -> None:
    older.make_database(path, version)
    db.initialise(path)
    once = older.rows_of(path)
    assert db.initialise(path) == db.latest_version()
    assert older.rows_of(path) == once
    assert db.check(path) == DATABASE_ID


@VERSIONS
def test_upgrades_by_several_processes_at_once_are_one(tmp_path: Path, version: int) -> None:
    original = tmp_path / "original"
    older.make_database(original, version)
    before = older.rows_of(original)
    for n in range(10):
        path = tmp_path / f"{n}.sqlite3"
        copyfile(original, path)
        assert together(2 + n % 3, db.initialise, path) == [db.latest_version()] * (2 + n % 3)
        check_kept(before, older.rows_of(path))
        check_sound(path)


def upgrade_and_die(path: Path, steps: int) -> None:
    """Upgrade in a process that kills itself before it has done so many statements.

    With little memory for pages, so that much is in the log before the commit.
    """
    remaining = iter(range(steps))

    def reach(sql: str) -> None:
        if next(remaining, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*args: Any, **named: Any) -> Connection:
        database = sqlite.connect(*args, **named)
        database.execute("PRAGMA cache_size = 1")
        database.set_trace_callback(reach)
        return database

    on_sqlite.connect = connect
    db.initialise(path)


@pytest.fixture
def kill_at() -> Callable[[Path, int], bool]:
    """Upgrade in a process that is killed at a step; return whether it was."""
    fork = multiprocessing.get_context("fork")

    def upgrade(path: Path, steps: int) -> bool:
        process = fork.Process(target=upgrade_and_die, args=(path, steps))
        process.start()
        process.join(30)
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0

    return upgrade


@pytest.mark.parametrize("version", [1, 3])
def test_an_upgrade_killed_at_any_step_leaves_the_old_version_and_can_be_repeated(
    path: Path, version: int, kill_at: Callable[[Path, int], bool]
) -> None:
    older.make_database(path, version)
    before, schema = older.rows_of(path), schema_of(path)
    killed = 0
    while kill_at(path, killed):
        killed += 1
        assert older.version_of(path) == str(version)
        assert older.rows_of(path) == before
        assert schema_of(path) == schema
    assert killed > 30  # statements of the scripts, and those around them
    assert db.check(path) == DATABASE_ID
    check_kept(before, older.rows_of(path))
    check_sound(path)
