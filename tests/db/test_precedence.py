"""Who waits to write is not overtaken by one claim after the other, though SQLite is not fair."""

import fcntl
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import precedence
from jobserver.db.precedence import Precedence
from tests.support import wait_for

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def database(path: Path) -> Path:
    db.initialise(path)
    with closing(db.connect(path)) as connection, db.exclusive(connection, "queue"):
        connection.write(
            "INSERT INTO job (id, variations_per_video, created_at) VALUES ('a', 1, 0)"
        )
    return path


@contextmanager
def process(
    work: Callable[[Path], None], path: Path
) -> Iterator[multiprocessing.process.BaseProcess]:
    """Run `work` in a process of its own inside `with`; it is killed at the end."""
    child = spawn.Process(target=work, args=(path,), daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()


def claim_without_pause(path: Path) -> None:
    with closing(db.connect(path, 30)) as connection:
        while True:
            with db.claiming(connection):
                connection.write("UPDATE job SET seed = seed + 1")


def wait_to_write(path: Path) -> None:
    with closing(db.connect(path, 60)) as connection, db.exclusive(connection, "queue"):
        signal.pause()


def claims(connection: db.Connection) -> int:
    count: int = connection.value("SELECT seed FROM job")
    return count


def is_waited_for(folder: Path) -> bool:
    """Return whether a claim would give way."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return not precedence._try(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def test_who_waits_is_overtaken_by_few_claims(database: Path) -> None:
    with closing(db.connect(database)) as connection, process(claim_without_pause, database):
        wait_for(lambda: claims(connection) > 0)
        overtaken = []
        for _ in range(50):
            before = claims(connection)
            with db.exclusive(connection, "quota"):
                overtaken.append(claims(connection) - before)
            reached = claims(connection)
            wait_for(lambda reached=reached: claims(connection) > reached)
    assert statistics.median(overtaken) < 4  # one may count what came before it began to wait


def seconds_given_way(connection: db.Connection) -> float:
    started = time.monotonic()
    connection.precedence.give_way()
    return time.monotonic() - started


def test_a_claim_gives_way_while_somebody_waits_and_no_longer_than_it_must(database: Path) -> None:
    with closing(db.connect(database)) as holder, closing(db.connect(database)) as claimer:
        holder.execute("BEGIN IMMEDIATE")
        with process(wait_to_write, database):
            wait_for(lambda: is_waited_for(database.parent))
            assert seconds_given_way(claimer) >= precedence.LONGEST_S
            holder.execute("COMMIT")
            wait_for(
                lambda: not is_waited_for(database.parent)
            )  # it has the lock, and waits no more
            assert seconds_given_way(claimer) < precedence.LONGEST_S


def test_who_is_killed_while_it_waits_holds_up_nobody(database: Path) -> None:
    with closing(db.connect(database)) as holder, db.claiming(holder):
        with process(wait_to_write, database):
            wait_for(lambda: is_waited_for(database.parent))
        assert not is_waited_for(database.parent)


def test_several_may_wait_at_the_same_time(tmp_path: Path) -> None:
    one, two = Precedence(tmp_path), Precedence(tmp_path)
    with one.waiting():
        with two.waiting():
            assert is_waited_for(tmp_path)
        assert is_waited_for(tmp_path)
    assert not is_waited_for(tmp_path)


def test_without_the_folder_all_are_equal(tmp_path: Path) -> None:
    nowhere = Precedence(tmp_path / "gone")
    with nowhere.waiting():
        nowhere.give_way()
