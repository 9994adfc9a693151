"""The scripts of PostgreSQL: the first makes the tables of a version, each later one adds.

The view is made anew behind them: it names its columns, and cannot get one in their middle.
"""

from importlib.resources import files

from jobserver.db import migrations
from jobserver.db.connection import Connection

_FOLDER = files(__package__) / "postgres"
_VIEW = (_FOLDER / "view.sql").read_text()
SCRIPTS: dict[int, str] = {  # by the version that each makes
    int(script.name[:4]): script.read_text()
    for script in sorted(_FOLDER.iterdir(), key=lambda script: script.name)
    if script.name[:4].isdecimal()
}


def upgrade(db: Connection) -> int:
    """Run what is missing, in the caller's transaction; return the version now.

    Raises DatabaseUnusable.
    """
    found = migrations.refuse_newer(db)
    missing = [script for number, script in SCRIPTS.items() if number > found]
    if missing:
        for script in (*missing, _VIEW):
            db.execute(script)
    return migrations.note_version(db, found)
