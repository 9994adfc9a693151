"""A thread keeps its connection for as long as the file is the same, and no longer."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import LOCK_TIMEOUT_S, Connection, DatabaseBusy, DatabaseUnavailable, migrations
from tests.db.damage import (
    PAGE_SIZE,
    add_job,
    another_process,
    make_foreign,
    make_garbage,
    make_newer,
    make_without_version,
    overwrite,
    remove_database,
    replace_with,
)


def in_a_thread(path: Path) -> Connection:
    """Return the connection of another thread."""
    connections: list[Connection] = []
    thread = threading.Thread(target=lambda: connections.append(db.thread_connection(path)))
    thread.start()
    thread.join()
    return connections[0]


def test_a_thread_keeps_its_connection_and_shares_it_with_no_other(path: Path) -> None:
    db.initialise(path)
    kept = db.thread_connection(path)
    assert db.thread_connection(path) is kept
    assert in_a_thread(path) is not kept
    assert db.thread_connection(path) is kept


def test_another_database_has_another_connection(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    for each in (path, other):
        db.initialise(each)
    add_job(db.thread_connection(other), "other")
    assert db.thread_connection(path).column("SELECT id FROM job") == []
    assert db.thread_connection(other).column("SELECT id FROM job") == ["other"]


def test_a_database_that_was_exchanged_is_connected_to_anew(path: Path) -> None:
    db.initialise(path)
    before = db.thread_connection(path)
    add_job(before, "lost")
    replace_with(db.initialise)(path)
    after = db.thread_connection(path)
    assert after is not before
    add_job(after, "kept")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT id FROM job").fetchall() == [("kept",)]


@pytest.mark.parametrize(
    "lose",
    [
        remove_database,
        replace_with(Path.touch),
        replace_with(Path.mkdir),
        replace_with(make_garbage),
        replace_with(make_foreign),
        replace_with(make_newer),
        replace_with(make_without_version),
    ],
)
def test_a_database_that_was_lost_is_unavailable_until_it_is_back(
    lose: Callable[[Path], None], path: Path
) -> None:
    db.initialise(path)
    add_job(db.thread_connection(path), "kept")
    with closing(db.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = path.read_bytes()
    lose(path)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            db.thread_connection(path)
    if path.is_dir():
        path.rmdir()
    remove_database(path)
    path.write_bytes(backup)
    assert db.thread_connection(path).column("SELECT id FROM job") == ["kept"]


def test_a_database_of_another_version_is_unavailable_until_init_db(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.initialise(path)
    monkeypatch.setattr(migrations, "SCRIPTS", (*migrations.SCRIPTS, "CREATE TABLE a (id);"))
    with pytest.raises(DatabaseUnavailable):
        db.thread_connection(path)
    db.initialise(path)
    assert db.thread_connection(path).column("SELECT id FROM a") == []


def test_pages_that_were_forgotten_are_read_from_the_file_again(path: Path) -> None:
    db.initialise(path)
    kept = db.thread_connection(path)
    assert job_count(kept) == 0
    overwrite(path, 0, b"\xff" * PAGE_SIZE)
    assert job_count(kept) == 0  # from what it has in memory
    kept.forget_pages()
    with pytest.raises(DatabaseUnavailable):
        job_count(kept)


def job_count(database: Connection) -> int:
    count: int = database.value("SELECT COUNT(*) FROM job")
    return count


def test_a_connection_that_was_opened_in_a_hurry_waits_for_locks_as_all_do(path: Path) -> None:
    db.initialise(path)
    hurried = db.thread_connection(path, 0.2)
    assert hurried.value("PRAGMA busy_timeout") == LOCK_TIMEOUT_S * 1000


def test_opening_in_a_hurry_does_not_wait_for_long(path: Path) -> None:
    db.initialise(path)
    alone = another_process(path, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")
    start = time.monotonic()
    with alone, pytest.raises(DatabaseBusy):
        db.thread_connection(path, 0.2)
    assert time.monotonic() - start < 2.5
