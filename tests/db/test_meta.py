"""What the database says about itself."""

from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import ClockNote, Connection, DatabaseUnusable, Place
from tests.support import together


def test_a_database_has_an_id_that_no_other_has(path: Path, database: Connection) -> None:
    other = path.with_name("other.sqlite3")
    db.initialise(other)
    assert db.database_id(database) == db.check(path)
    assert db.check(path) != db.check(other)


def test_a_database_without_an_id_is_unusable(database: Connection) -> None:
    database.execute("DELETE FROM meta WHERE name = 'database_id'")
    with pytest.raises(DatabaseUnusable, match=r"\AThe database does not say its database_id\Z"):
        db.database_id(database)


def test_a_new_database_has_no_clock_note(database: Connection) -> None:
    assert db.clock_note(database) is None


@pytest.mark.parametrize(
    "note",
    [
        ClockNote(1_800_000_000.0, 1_800_000_000.0),
        ClockNote(1_800_000_000.123456, 1_800_003_600.1),
        ClockNote(0.1 + 0.2, 1e-9),
        ClockNote(4e9, 0.0),
    ],
)
def test_a_clock_note_is_kept_to_the_last_digit(note: ClockNote, database: Connection) -> None:
    for each in (ClockNote(1.0, 2.0), note):
        with db.exclusive(database, "housekeeping"):
            db.note_clock(database, each)
    assert db.clock_note(database) == note


def note_times(path: Path) -> bool:
    database = db.connect(path, 30)
    for n in range(30):
        with db.exclusive(database, "housekeeping"):
            db.note_clock(database, ClockNote(float(n), float(n)))
    return True


def test_a_clock_note_of_several_processes_is_one(path: Path, database: Connection) -> None:
    assert together(3, note_times, path) == [True] * 3
    assert db.clock_note(database) == ClockNote(29.0, 29.0)
    assert database.value("SELECT COUNT(*) FROM meta WHERE name = 'clock'") == 1


def test_a_note_needs_a_transaction(database: Connection) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        db.note_clock(database, ClockNote(1.0, 1.0))
    assert db.clock_note(database) is None


# -- turns ----------------------------------------------------------------------------------

AT = 1_800_000_000.123456


def take(database: Connection, name: str, until: float, now: float) -> bool:
    with db.claiming(database):
        return db.take_turn(database, name, until, now)


@pytest.mark.both_databases
def test_a_turn_is_one_processs_until_it_ends(database: Connection, second: Connection) -> None:
    assert take(database, "sweep", AT + 60, AT)
    for who in (database, second):
        assert not take(who, "sweep", AT + 119.9, AT + 59.9)
    assert take(second, "housekeeping", AT + 60, AT)  # another turn
    assert take(second, "sweep", AT + 120, AT + 60)
    assert not take(database, "sweep", AT + 120, AT + 60)


@pytest.mark.both_databases
def test_a_turn_from_before_the_clock_was_set_back_is_over(database: Connection) -> None:
    assert take(database, "sweep", AT + 60, AT)
    assert not take(database, "sweep", AT - 1 + 60, AT - 1)  # who looked at the clock just before
    assert take(database, "sweep", AT - 3600 + 60, AT - 3600)
    assert not take(database, "sweep", AT - 3600 + 60, AT - 3600)


@pytest.mark.both_databases
def test_of_processes_that_take_a_turn_together_one_has_it(place: Place) -> None:
    def take_at_once(place: Place) -> bool:
        with closing(db.connect(place, 30)) as database:
            now = database.clock()
            return take(database, "sweep", now + 60, now)

    assert sorted(together(4, take_at_once, place)) == [False, False, False, True]


def test_a_turn_needs_a_transaction(database: Connection) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        db.take_turn(database, "sweep", AT + 60, AT)
