"""Numbered SQL scripts that make the database, or bring an older one up to date.

`0001_*.sql` makes version 1 of a SQLite database, each later one a version more. From 0005 on
they only add, so that a server of the version before can go on while the next one starts: new
columns have defaults, and what refers to older tables goes with their rows (ON DELETE CASCADE).
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


def is_usable(db: Connection) -> bool:
    """Return whether this code can work with the database: of its own version, or the next."""
    return _accepts(version(db))


def _accepts(found: int) -> bool:
    return found in (latest_version(), latest_version() + 1)


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
    """Return the version of a database that is, or can be made, one for this code.

    Raises DatabaseUnusable.
    """
    found = version(db)
    if found > latest_version() and not _accepts(found):
        raise DatabaseUnusable(f"The database has version {found}; this jobserver is older")
    return found


def note_version(db: Connection, found: int) -> int:
    """Note the version, and an id if there is none; return it.

    found: the version before: one newer than ours stays.
    """
    noted = max(found, latest_version())
    query = "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO "
    db.write(query + "NOTHING", {"name": "database_id", "value": generate_id()})
    db.write(query + "UPDATE SET value = :value", {"name": VERSION, "value": str(noted)})
    return noted
