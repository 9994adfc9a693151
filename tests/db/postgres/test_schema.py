"""init-db on a PostgreSQL: by all hosts at once, repeated, refused in one sentence."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobserver import db
from jobserver.db import Connection, DatabaseUnavailable, DatabaseUnusable, migrations
from jobserver.db.migrations import on_postgres
from jobserver.db.postgres import sessions
from tests.postgres import PASSWORD, Cluster
from tests.support import PROJECT, together

pytestmark = pytest.mark.tools

LATEST = migrations.latest_version()


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    url = cluster.url(cluster.create())
    yield url
    cluster.drop(url)


def execute(url: str, *statements: str) -> None:
    with closing(db.connect(url)) as database:
        for statement in statements:
            database.execute(statement)


def columns(database: Connection, query: str) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in database.execute(query).fetchall()}


# -- making -----------------------------------------------------------------------------


def test_hosts_that_begin_at_once_make_one_database(empty: str) -> None:
    assert together(4, db.initialise, empty) == [LATEST] * 4
    ids = together(4, db.check, empty)
    assert len(set(ids)) == 1
    with closing(db.connect(empty)) as database:
        assert database.column("SELECT files FROM queue_length") == [0]
        assert database.value("SELECT value FROM meta WHERE name = 'database_id'") == ids[0]
    assert db.identity(empty) == ids[0]


def test_init_db_keeps_every_row(url: str, database: Connection) -> None:
    with db.exclusive(database, "queue"):
        database.write("INSERT INTO job (id, variations_per_video, created_at) VALUES ('a', 1, 0)")
    before = db.check(url)
    assert db.initialise(url) == LATEST
    assert db.check(url) == before
    assert database.column("SELECT id FROM job_status") == ["a"]
    assert database.column("SELECT id FROM job_summary") == ["a"]


def test_both_engines_have_the_same_columns(database: Connection, tmp_path: Path) -> None:
    db.initialise(tmp_path / "db.sqlite3")
    with closing(db.connect(tmp_path / "db.sqlite3")) as other:
        of_sqlite = columns(
            other,
            """SELECT entry.name, field.name FROM sqlite_master AS entry
               JOIN pragma_table_info(entry.name) AS field
               WHERE entry.type IN ('table', 'view')""",
        )
    of_postgres = columns(
        database,
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public'""",
    )
    assert of_postgres == of_sqlite


def test_both_engines_have_the_same_indexes(database: Connection, tmp_path: Path) -> None:
    db.initialise(tmp_path / "db.sqlite3")
    with closing(db.connect(tmp_path / "db.sqlite3")) as other:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        of_sqlite = set(other.column(query))
    query = """
        SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        LEFT JOIN pg_constraint ON conindid = indexrelid
        WHERE relnamespace = 'public'::regnamespace AND conindid IS NULL"""
    assert set(database.column(query)) == of_sqlite


def test_both_engines_are_at_the_same_version() -> None:
    assert max(on_postgres.SCRIPTS) == LATEST


def test_a_later_script_is_run_once_and_the_view_is_made_behind_it(
    url: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "ALTER TABLE job ADD COLUMN more INTEGER NOT NULL DEFAULT 3"
    monkeypatch.setattr(migrations, "SCRIPTS", (*migrations.SCRIPTS, "-- as well"))
    monkeypatch.setitem(on_postgres.SCRIPTS, LATEST + 1, more)
    for _ in range(2):
        assert db.initialise(url) == LATEST + 1
    assert database.column("SELECT more FROM job") == []
    assert database.column("SELECT status FROM job_status") == []
    assert database.column("SELECT status FROM job_summary") == []
    assert db.check(url)


def test_a_script_that_fails_leaves_nothing(
    url: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE more (id INTEGER); SELECT 1 / 0"
    monkeypatch.setattr(migrations, "SCRIPTS", (*migrations.SCRIPTS, "-- as well"))
    monkeypatch.setitem(on_postgres.SCRIPTS, LATEST + 1, broken)
    with pytest.raises(DatabaseUnusable, match="division by zero"):
        db.initialise(url)
    assert "more" not in database.column(database.tables)
    assert migrations.version(database) == LATEST


# -- refusing ---------------------------------------------------------------------------


def make_newer(url: str) -> None:
    execute(url, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")


def make_older(url: str) -> None:
    execute(url, "UPDATE meta SET value = '1' WHERE name = 'schema_version'")


def make_foreign(url: str) -> None:
    execute(
        url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "CREATE TABLE recipe (id INT)"
    )


def make_empty(url: str) -> None:
    execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


REFUSED: list[tuple[Callable[[str], None], str]] = [
    (make_newer, "it has version 99, not {latest}$"),
    (make_older, "it has version 1, not {latest}; run `flask --app wsgi init-db`$"),
    (make_foreign, "the tables of another program"),
    (make_empty, "is empty; run `flask --app wsgi init-db`$"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_serving_refuses_what_it_cannot_use_in_one_sentence(
    change: Callable[[str], None], reason: str, url: str
) -> None:
    change(url)
    with pytest.raises(DatabaseUnusable, match=reason.format(latest=LATEST)) as raised:
        db.check(url)
    assert re.fullmatch(r"The database [^\n]+", str(raised.value))
    assert PASSWORD not in str(raised.value)
    with pytest.raises(DatabaseUnavailable):
        db.thread_connection(url)


@pytest.mark.parametrize("change", [make_newer, make_foreign])
def test_init_db_refuses_what_is_newer_or_foreign_and_changes_nothing(
    change: Callable[[str], None], url: str, database: Connection
) -> None:
    change(url)
    before = database.column(database.tables)
    with pytest.raises(DatabaseUnusable):
        db.initialise(url)
    assert database.column(database.tables) == before


def test_a_table_of_an_extension_is_no_table_of_another_program(
    empty: str, cluster: Cluster
) -> None:
    execute(empty, "CREATE VIEW statistics AS SELECT 1 AS calls")
    assert db.initialise(empty) == LATEST


def test_another_encoding_is_refused(cluster: Cluster) -> None:
    name = "in_latin_1"
    cluster.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    )
    with pytest.raises(DatabaseUnusable, match="has the encoding LATIN1; it must be UTF8"):
        db.initialise(cluster.url(name))


WRONG: dict[str, tuple[Callable[[Cluster], str], str]] = {
    "another password": (
        lambda cluster: cluster.url(password="secret2"),
        r"The database postgres at 127.0.0.1:\d+ cannot be used \(password authentication failed "
        r'for user "jobserver"\)',
    ),
    "no such database": (
        lambda cluster: cluster.url("none"),
        r'The database none at 127.0.0.1:\d+ cannot be used \(database "none" does not exist\)',
    ),
    "nobody listens": (
        lambda cluster: cluster.url(port=1, password="secret2"),
        r"The database postgres at 127.0.0.1:1 cannot be used \([^\n]*Connection refused\)",
    ),
    "no URL": (
        lambda _: "postgresql://u:secret2@[h/d",
        "DATABASE_URL is no URL that PostgreSQL understands",
    ),
    "an unknown option": (
        lambda _: "postgresql://u:secret2@h/d?colour=blue",
        "DATABASE_URL is no URL that PostgreSQL understands",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("call", [db.check, db.initialise])
def test_what_cannot_be_reached_is_a_sentence_without_its_password(
    call: Callable[[str], object], wrong: str, cluster: Cluster
) -> None:
    make_url, sentence = WRONG[wrong]
    with pytest.raises(DatabaseUnusable, match=rf"\A{sentence}\Z") as raised:
        call(make_url(cluster))
    assert "secret2" not in str(raised.value)


def test_without_the_driver_the_sentence_says_what_to_install() -> None:
    code = """if True:
        import sys
        sys.modules["psycopg"] = None
        from jobserver import db
        try:
            db.check("postgresql://h/d")
        except db.DatabaseUnusable as error:
            print(error)
        from pathlib import Path
        print(db.label(Path("/x")))"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("DATABASE_URL needs `pip install 'jobserver[postgres]'`")
    assert second == "/x"


def test_the_driver_is_loaded_only_for_a_url() -> None:
    code = "import sys, wsgi; print('psycopg' in sys.modules)"
    environment = {"PATH": "/usr/bin:/bin", "AUTH_PASSWORD": "correct horse"}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("wsgi", "jobserver.db, jobserver.worker.process")],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "False", done.stderr


def test_an_upgrade_may_take_longer_than_a_statement_of_a_server(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_CONFIGURE", "SET statement_timeout = '100ms'")
    monkeypatch.setattr(migrations, "SCRIPTS", (*migrations.SCRIPTS, "-- as well"))
    monkeypatch.setitem(on_postgres.SCRIPTS, LATEST + 1, "SELECT pg_sleep(0.3)")
    assert db.initialise(url) == LATEST + 1
