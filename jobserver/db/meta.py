"""What the database says about itself: its id, its version, the clock of its housekeeper, turns."""

from typing import NamedTuple

from jobserver.db.connection import Connection
from jobserver.db.errors import DatabaseUnusable


class ClockNote(NamedTuple):
    """Unix seconds: when the housekeeping ran last, and from when on its clock is trusted."""

    noted_at: float
    trusted_from: float


def read(db: Connection, name: str) -> str:
    """Return a note that must be there. Raises DatabaseUnusable."""
    value = db.value("SELECT value FROM meta WHERE name = :name", {"name": name})
    if value is None:
        raise DatabaseUnusable(f"The database does not say its {name}")
    return str(value)


def find(db: Connection, name: str) -> str | None:
    """Return a note, or None when there is none."""
    value = db.value("SELECT value FROM meta WHERE name = :name", {"name": name})
    return None if value is None else str(value)


def note(db: Connection, name: str, value: str) -> None:
    """Keep a note, in place of the one before."""
    query = """
        INSERT INTO meta (name, value) VALUES (:name, :value)
        ON CONFLICT (name) DO UPDATE SET value = :value"""
    db.write(query, {"name": name, "value": value})


def database_id(db: Connection) -> str:
    """Return the id that this database was given when it was made."""
    return read(db, "database_id")


def clock_note(db: Connection) -> ClockNote | None:
    """Return what the housekeeping noted last, or None before its first round."""
    value = db.value("SELECT value FROM meta WHERE name = 'clock'")
    return None if value is None else ClockNote(*map(float, str(value).split()))


def note_clock(db: Connection, note: ClockNote) -> None:
    """Keep the note for the next round, whichever process runs it."""
    query = """
        INSERT INTO meta (name, value) VALUES ('clock', :value)
        ON CONFLICT (name) DO UPDATE SET value = :value"""
    db.write(query, {"value": f"{note.noted_at} {note.trusted_from}"})


def take_turn(db: Connection, name: str, until: float, now: float) -> bool:
    """Take a turn that one of all processes on this database has, until then; False: it is taken.

    name: what the turn is for. Both times by the database's clock; a turn that lasts for longer
    than two of this length was taken before the clock was set back, and counts as over.
    """
    query = """
        INSERT INTO meta (name, value) VALUES (:name, :until)
        ON CONFLICT (name) DO UPDATE SET value = :until
        WHERE CAST(meta.value AS DOUBLE PRECISION) <= :now
           OR CAST(meta.value AS DOUBLE PRECISION) > :latest"""
    latest = until + (until - now)
    values = {"name": f"turn of {name}", "until": repr(until), "now": now, "latest": latest}
    return db.write(query, values) == 1
