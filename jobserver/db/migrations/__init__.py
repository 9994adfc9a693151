"""Numbered SQL scripts that make the database, or bring an older one up to date.

`0001_*.sql` makes version 1 of a SQLite database, each later one a version more. From 0005 on
they only add, so that a server of the version before can go on while the next one starts.
"""

from importlib.resources import files

from jobserver.db import meta
from jobserver.db.connection import Connection
from jobserver.db.errors import DatabaseUnusable
from jobserver.ids import generate_id

SCRIPTS: tuple[str, ...] = tuple(
    script.read_text()
    for script in sorted(files(__package__).iterdir(), key=lambda script: script.name)
    if script.name.endswith(".sql")
)


VERSION = "schema_version"  # its name in the table meta


def latest_version() -> int:
    """Return the version that this code works with."""
    return len(SCRIPTS)


def is_current(db: Connection) -> bool:
    """Return whether the database has the version that this code works with."""
    return version(db) == latest_version()


def version(db: Connection) -> int:
    """Return 0 for an empty database.

    Raises DatabaseUnusable for another program's tables, and for one that says it may not be used.
    """
    version = stated_version(db)
    if not version.isdecimal():
        raise DatabaseUnusable(f"The database has no version but {version!r}")
    return int(version)


def stated_version(db: Connection) -> str:
    """Return the version, "0" for an empty database, or why it has none (transfer.py).

    Raises DatabaseUnusable for another program's tables.
    """
    tables = set(db.column(db.tables))
    if tables and not {"meta", "job", "job_file"} <= tables:
        raise DatabaseUnusable("The database holds the tables of another program")
    return meta.read(db, VERSION) if tables else "0"


def refuse_newer(db: Connection) -> int:
    """Return the version of a database that can be brought up to date. Raises DatabaseUnusable."""
    found = version(db)
    if found > latest_version():
        raise DatabaseUnusable(f"The database has version {found}; this jobserver is older")
    return found


def note_version(db: Connection) -> None:
    """Note that the database is of the latest version, and its id if it has none."""
    query = "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO "
    db.write(query + "NOTHING", {"name": "database_id", "value": generate_id()})
    current = {"name": VERSION, "value": str(latest_version())}
    db.write(query + "UPDATE SET value = :value", current)
