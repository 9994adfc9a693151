"""Scripts make the database, bring an older one up to date, and refuse what they cannot use."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db, prepare_serving
from jobserver.db import Connection, ConstraintViolated, DatabaseUnusable, migrations
from jobserver.ids import generate_id
from tests.db.damage import UNUSABLE, add_job, job_ids, serving_app
from tests.support import Server, settings_of, together

FIRST, *_ = migrations.SCRIPTS


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


# -- making and repeating ---------------------------------------------------------


def test_init_db_makes_a_database_that_serving_accepts(path: Path) -> None:
    assert db.initialise(path) == db.latest_version()
    assert len(db.check(path)) == 22


def test_init_db_twice_keeps_every_row_and_the_database_id(path: Path) -> None:
    db.initialise(path)
    database_id = db.check(path)
    with closing(db.connect(path)) as database:
        add_job(database, "kept")
    assert db.initialise(path) == db.latest_version()
    assert job_ids(path) == ["kept"]
    assert db.check(path) == database_id


def test_the_init_db_command_says_which_version_the_database_has(own_server: Server) -> None:
    assert (
        own_server.init_db().stdout
        == f"The database {own_server.database} has version {db.latest_version()}.\n"
    )


def test_init_db_at_the_same_time_makes_one_database_without_an_error(tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / f"{number}.sqlite3"
        assert together(6, db.initialise, path) == [db.latest_version()] * 6
        assert len(db.check(path)) == 22


def test_init_db_works_while_the_server_writes(path: Path) -> None:
    db.initialise(path)
    with closing(db.connect(path)) as database:
        with db.exclusive(database, "queue"):
            add_job(database, "kept")
            thread = threading.Thread(target=db.initialise, args=(path,))
            thread.start()
        thread.join()
    assert job_ids(path) == ["kept"]


# -- the scripts ----------------------------------------------------------------------


def test_the_version_is_the_number_of_scripts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ("CREATE TABLE a (id);", "CREATE TABLE b (id);")
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST, *more))
    assert db.initialise(path) == db.latest_version() == 3
    assert {"job", "a", "b"} <= tables_of(path)


def test_init_db_runs_the_scripts_that_an_older_database_lacks_and_keeps_its_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST,))
    db.initialise(path)
    database_id = db.check(path)
    with closing(db.connect(path)) as database:
        add_job(database, "kept")
    script = "ALTER TABLE job ADD COLUMN note TEXT DEFAULT 'a; b';\nCREATE TABLE more (id TEXT);\n"
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST, script))
    with pytest.raises(DatabaseUnusable, match="it has version 1, not 2"):
        db.check(path)
    assert db.initialise(path) == 2
    assert db.initialise(path) == 2
    assert db.check(path) == database_id
    with closing(db.connect(path)) as database:
        rows = database.execute("SELECT id, note FROM job").fetchall()
        assert [tuple(row) for row in rows] == [("kept", "a; b")]
        assert database.column("SELECT id FROM more") == []


def test_a_script_that_fails_half_way_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST,))
    db.initialise(path)
    before = tables_of(path)
    broken = "CREATE TABLE a (id);\nCREATE TABLE job (id);"
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST, broken))
    with pytest.raises(DatabaseUnusable, match="table job already exists"):
        db.initialise(path)
    monkeypatch.setattr(migrations, "SCRIPTS", (FIRST,))
    assert db.check(path)
    assert tables_of(path) == before


def test_rows_that_do_not_fit_together_stop_an_upgrade(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.initialise(path)
    with closing(sqlite3.connect(path)) as database:  # foreign keys are not enforced here
        database.execute(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES ('f', 'none', 0, 'n', 's', 1)"
        )
        database.commit()
    monkeypatch.setattr(migrations, "SCRIPTS", (*migrations.SCRIPTS, "CREATE TABLE a (id);"))
    with pytest.raises(DatabaseUnusable, match=r"\AThe rows of the database do not fit together\Z"):
        db.initialise(path)
    assert "a" not in tables_of(path)


# -- what cannot be used ------------------------------------------------------------


@pytest.mark.parametrize("make_unusable", UNUSABLE)
def test_init_db_refuses_what_it_cannot_use_with_one_sentence_and_changes_no_byte(
    make_unusable: Callable[[Path], None], path: Path
) -> None:
    make_unusable(path)
    before = path.read_bytes()
    app = serving_app(path)
    with app.app_context():
        done = app.test_cli_runner().invoke(args=["init-db"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The ")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("make_unusable", UNUSABLE)
def test_serving_refuses_what_it_cannot_use_with_one_sentence_and_changes_no_byte(
    make_unusable: Callable[[Path], None], path: Path
) -> None:
    make_unusable(path)
    before = path.read_bytes()
    app = serving_app(path)
    orphan = settings_of(app).upload_dir / f"{generate_id()}.mp4"
    orphan.touch()
    with pytest.raises(DatabaseUnusable, match=r"\AThe [^\n]+\Z"):
        prepare_serving(app)
    assert path.read_bytes() == before
    assert orphan.exists()


def test_serving_refuses_an_empty_file(path: Path) -> None:
    path.touch()
    with pytest.raises(DatabaseUnusable, match=r"\AThe database [^\n]+ cannot be used [^\n]+\Z"):
        db.check(path)
    assert path.read_bytes() == b""


def test_serving_names_the_command_that_makes_a_missing_database(path: Path) -> None:
    with pytest.raises(
        DatabaseUnusable, match=f"no database at {path}; run `flask --app wsgi init"
    ):
        db.check(path)
    assert not path.exists()


# -- the schema -------------------------------------------------------------------------

JOB = "job (id, variations_per_video, created_at)"
JOB_FILE = "job_file (id, job_id, position, name, stored_name, size, status)"
OUTPUT = "output (id, file_id, number, name, size, sha256, parameters, seconds, created_at)"


def insert(database: Connection, table: str, values: str) -> None:
    database.execute(f"INSERT INTO {table} VALUES {values}")  # noqa: S608


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (JOB, "('j', 0, 0)"),
        (JOB, "('j', -1, 0)"),
        (JOB_FILE, "('f', 'kept', 0, 'n', 's', 0, 'queued')"),
        (JOB_FILE, "('f', 'kept', 0, 'n', 's', 1, 'lost')"),
        (OUTPUT, "('o', 'f', 0, 'n', 1, '', '{}', 1, 0)"),
    ],
)
def test_the_schema_refuses_numbers_and_states_that_do_not_exist(
    table: str, values: str, database: Connection
) -> None:
    insert(database, JOB, "('kept', 5, 0)")
    with pytest.raises(ConstraintViolated, match="CHECK"):
        insert(database, table, values)


@pytest.mark.parametrize(
    ("table", "values", "column"),
    [
        (JOB, "('kept', 5, 0)", "job.id"),
        (JOB_FILE, "('kept.0', 'kept', 1, 'n', 's', 1, 'queued')", "job_file.id"),
        (JOB_FILE, "('f', 'kept', 0, 'n', 's', 1, 'queued')", "job_file.position"),
        (OUTPUT, "('kept.0.1', 'kept.0', 2, 'n', 1, '', '{}', 1, 0)", "output.id"),
        (OUTPUT, "('o', 'kept.0', 1, 'n', 1, '', '{}', 1, 0)", "output.number"),
    ],
)
def test_the_schema_refuses_what_must_be_there_once(
    table: str, values: str, column: str, database: Connection
) -> None:
    insert(database, JOB, "('kept', 5, 0)")
    insert(database, JOB_FILE, "('kept.0', 'kept', 0, 'n', 's', 1, 'queued')")
    insert(database, OUTPUT, "('kept.0.1', 'kept.0', 1, 'n', 1, '', '{}', 1, 0)")
    with pytest.raises(ConstraintViolated, match=f"UNIQUE.*{column}"):
        insert(database, table, values)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (JOB_FILE, "('f', 'none', 0, 'n', 's', 1, 'queued')"),
        (OUTPUT, "('o', 'none', 1, 'n', 1, '', '{}', 1, 0)"),
    ],
)
def test_the_schema_refuses_a_file_without_its_job_and_an_output_without_its_file(
    table: str, values: str, database: Connection
) -> None:
    with pytest.raises(ConstraintViolated, match="FOREIGN KEY"):
        insert(database, table, values)


def test_the_schema_leaves_limits_to_the_code(database: Connection) -> None:
    """A later version may make more than 20 variations, and two jobs of one upload."""
    insert(database, JOB, "('a', 400, 0), ('b', 400, 0)")
    for n, job_id in enumerate("ab"):
        insert(database, JOB_FILE, f"('f{n}', '{job_id}', 0, 'n', 'same.mp4', 1, 'queued')")
    insert(database, OUTPUT, "('o', 'f1', 400, 'n', 1, '', '{}', 1, 0)")
    assert database.value("SELECT number FROM output") == 400
