"""The reserve beside a database: whole when it can be, lent to one at a time, harmless to rows."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import (
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseFull,
    Reserve,
    reserve,
)
from tests.db.damage import add_job, another_process, job_ids, remove_database
from tests.disk import fill

MIB = 1024 * 1024
DISK = 4 * MIB  # of the fixture small_disk
WHOLE = DISK // 8  # what a reserve takes of it

pytestmark = pytest.mark.tools


@pytest.fixture
def small(small_disk: Path) -> Iterator[Connection]:
    """A connection to a database on a small disk, with a whole reserve."""
    path = small_disk / "db.sqlite3"
    db.initialise(path)
    with closing(db.connect(path)) as database:
        assert database.reserve.restore()
        yield database


@pytest.fixture
def path(small_disk: Path) -> Path:
    return small_disk / "db.sqlite3"


def log_of(path: Path) -> Path:
    return path.with_name("db.sqlite3-wal")


def reserve_of(path: Path) -> Path:
    return path.with_name("db.sqlite3-reserve")


def truncate_log(database: Connection) -> None:
    assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def add_many(database: Connection, count: int) -> None:
    with db.exclusive(database, "queue"):
        for number in range(count):
            add_job(database, f"{number:0500}")


# -- how large it is --------------------------------------------------------------------


def test_it_takes_an_eighth_of_a_small_disk(small: Connection, path: Path) -> None:
    assert reserve_of(path).stat().st_size == WHOLE
    assert reserve_of(path).stat().st_blocks * 512 >= WHOLE  # real blocks
    assert small.reserve.restore()


def test_it_takes_4_mib_of_a_large_one(tmp_path: Path) -> None:
    assert Reserve(tmp_path / "db").restore()
    assert (tmp_path / "db-reserve").stat().st_size == reserve.SIZE == 4 * MIB
    assert not Reserve(tmp_path / "db").is_low()


def test_it_leaves_as_much_free_as_it_takes(small: Connection, path: Path) -> None:
    reserve_of(path).unlink()
    filler = path.with_name("filler")
    fill(filler)
    os.truncate(filler, filler.stat().st_size - WHOLE)
    assert small.reserve.is_low() is False
    assert not small.reserve.restore()
    os.truncate(filler, filler.stat().st_size - WHOLE // 2)
    assert not small.reserve.restore()
    assert reserve_of(path).stat().st_size == WHOLE // 2
    filler.unlink()
    assert small.reserve.restore()


def test_a_disk_that_does_not_say_its_size_needs_none(tmp_path: Path) -> None:
    gone = Reserve(tmp_path / "gone" / "db")
    assert gone.restore()
    assert not gone.is_low()
    gone.make_way_to_open()
    gone.restore_after_close()
    assert list(tmp_path.iterdir()) == []


def test_only_what_serves_makes_one(path: Path) -> None:
    db.initialise(path)
    db.check(path)
    with closing(db.connect(path)):
        pass
    assert not reserve_of(path).exists()


# -- removing ---------------------------------------------------------------------------


def test_a_removal_works_without_a_byte_and_without_a_log(small: Connection, path: Path) -> None:
    add_many(small, 300)
    truncate_log(small)
    fill(path.with_name("filler"))
    with pytest.raises(DatabaseFull), db.exclusive(small, "queue"):
        small.write("DELETE FROM job")
    for number in range(300):
        with db.removing(small, "queue"):
            assert small.write("DELETE FROM job WHERE id = :id", {"id": f"{number:0500}"}) == 1
    assert job_ids(path) == []
    assert reserve_of(path).stat().st_size > 0


def test_a_removal_works_while_a_reader_keeps_the_log_from_its_start(
    small: Connection, path: Path
) -> None:
    add_many(small, 40)
    truncate_log(small)
    fill(path.with_name("filler"))
    with another_process(path, "BEGIN", "SELECT * FROM job"):
        for number in range(20):
            with db.removing(small, "queue"):
                small.write("DELETE FROM job WHERE id = :id", {"id": f"{number:0500}"})
    assert len(job_ids(path)) == 20


def test_a_removal_that_needs_a_new_page_of_the_database_works(
    small: Connection, path: Path
) -> None:
    """As one that records what it did: a checkpoint then has to make the database longer."""
    truncate_log(small)
    fill(path.with_name("filler"))
    pages = small.value("PRAGMA page_count")
    for number in range(40):
        with db.removing(small, "queue"):
            add_job(small, f"{number:0500}")
    assert small.value("PRAGMA page_count") > pages
    truncate_log(small)
    assert len(job_ids(path)) == 40


def test_a_removal_that_is_undone_changes_nothing(small: Connection, path: Path) -> None:
    add_many(small, 3)
    truncate_log(small)
    fill(path.with_name("filler"))
    with pytest.raises(ConstraintViolated), db.removing(small, "queue"):
        small.write_many("UPDATE job SET variations_per_video = :n", [{"n": 7}, {"n": 0}])
    assert small.column("SELECT DISTINCT variations_per_video FROM job") == [5]
    with db.removing(small, "queue"):
        small.write("DELETE FROM job")
    assert job_ids(path) == []


def test_a_log_with_blocks_beyond_its_end_is_read_again_after_a_crash(
    small: Connection, path: Path
) -> None:
    add_many(small, 5)
    truncate_log(small)
    fill(path.with_name("filler"))
    with db.removing(small, "queue"):
        small.write("DELETE FROM job WHERE id <> :id", {"id": f"{4:0500}"})
    path.with_name("filler").unlink()
    crashed = path.with_name("crashed")
    for suffix in ("", "-wal"):  # as a crash leaves them: without -shm
        copy = Path(f"{crashed}{suffix}")
        copy.write_bytes(Path(f"{path}{suffix}").read_bytes())
    assert job_ids(crashed) == [f"{4:0500}"]


def test_on_a_disk_with_space_a_removal_leaves_the_reserve_alone(
    small: Connection, path: Path
) -> None:
    add_many(small, 3)
    with small.reserve.lent(), db.removing(small, "queue"):
        small.write("DELETE FROM job")
    assert reserve_of(path).stat().st_size == WHOLE


# -- one at a time -----------------------------------------------------------------------


def test_it_is_lent_to_one_at_a_time(
    small: Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "LOCK_TIMEOUT_S", 0.05)
    other = Reserve(path)
    with small.reserve.lent() as lent:
        with pytest.raises(DatabaseBusy), other.lent():
            pass
        lent.release(WHOLE)
        assert not other.restore()  # else it takes what a removal is about to use
        assert reserve_of(path).stat().st_size == 0
    assert other.restore()


# -- opening and closing ------------------------------------------------------------------


def test_a_database_opens_on_a_full_disk_as_often_as_somebody_fills_it(path: Path) -> None:
    db.initialise(path)
    assert Reserve(path).restore()
    for number in range(10):
        fill(path.with_name(f"filler{number}"))
        with closing(db.connect(path)) as database:
            assert database.column("SELECT id FROM job") == []
            with db.removing(database, "queue"):
                database.write("UPDATE meta SET value = value")
        assert not log_of(path).exists()
    assert reserve_of(path).stat().st_size > 0


def test_a_shm_that_could_not_be_made_whole_is_made_whole(path: Path) -> None:
    db.initialise(path)
    Reserve(path).restore()
    path.with_name("db.sqlite3-shm").write_bytes(bytes(4096))
    fill(path.with_name("filler"))
    with closing(db.connect(path)) as database:
        assert database.column("SELECT id FROM job") == []


def test_a_full_disk_without_a_reserve_is_full(path: Path) -> None:
    db.initialise(path)
    fill(path.with_name("filler"))
    with pytest.raises(DatabaseFull), closing(db.connect(path)) as database:
        database.column("SELECT id FROM job")


def test_a_reserve_that_cannot_be_used_disturbs_nobody(path: Path) -> None:
    db.initialise(path)
    reserve_of(path).mkdir()
    with closing(db.connect(path)) as database:
        assert database.column("SELECT id FROM job") == []
        with db.removing(database, "queue"):
            add_job(database, "a")
    assert job_ids(path) == ["a"]


def test_a_database_that_was_removed_leaves_its_reserve_alone(
    small: Connection, path: Path
) -> None:
    remove_database(path)
    small.close()
    assert reserve_of(path).stat().st_size == WHOLE
