"""What may lie in the place of a database, and who may use it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flask import Flask

from jobserver import create_app, db
from jobserver.db import Connection, Place
from jobserver.folders import prepare_folders
from tests.support import PASSWORD, settings_of

PAGE_SIZE = 4096  # of a database file, bytes


def serving_app(path: Path) -> Flask:
    """Return an app on this database, with folders beside it."""
    app = create_app(
        {
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "key for tests",
            "DATABASE": path,
            "UPLOAD_DIR": path.parent / "uploads",
            "OUTPUT_DIR": path.parent / "outputs",
            "MIN_FREE_SPACE": 0,
        }
    )
    prepare_folders(settings_of(app))
    return app


@contextmanager
def another_process(path: Path, *statements: str) -> Iterator[None]:
    """Let another process execute `statements` on the database and keep its connection."""
    code = """if True:
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        for statement in sys.argv[2:]:
            db.execute(statement).fetchall()
        print("done", flush=True)
        sys.stdin.read()"""
    command = [sys.executable, "-c", code, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"done\n"
            yield
        finally:
            process.stdin.close()


def add_job(database: sqlite3.Connection | Connection, job_id: str) -> None:
    """Insert a job without files into a database of any version."""
    database.execute(
        "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 5, 0)", {"id": job_id}
    )


def job_ids(place: Place) -> list[str]:
    with closing(db.connect(place)) as database:
        return database.column("SELECT id FROM job ORDER BY id")


def remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE recipe (id); INSERT INTO recipe VALUES (1);")


def make_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def make_garbage_header(path: Path) -> None:
    db.initialise(path)
    overwrite(path, 0, b"\xff" * 100)


def make_corrupt_page(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database, db.exclusive(database, "queue"):
        for number in range(3000):
            add_job(database, f"{number:060}")
    middle = path.stat().st_size // PAGE_SIZE // 2 * PAGE_SIZE
    overwrite(path, middle, b"\xff" * PAGE_SIZE)


def make_newer(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        database.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")


def make_without_version(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        database.execute("DELETE FROM meta")


UNUSABLE: list[Callable[[Path], None]] = [
    make_foreign,
    make_garbage,
    make_garbage_header,
    make_corrupt_page,
    make_newer,
    make_without_version,
]


def replace_with(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts another file in the place of the database, as `mv` does."""

    def replace(path: Path) -> None:
        other = path.with_name("other")
        make(other)
        remove_database(path)
        other.rename(path)

    return replace
