"""What a migration may do, judged by its text: the first never drop, later ones only add."""

import re
import sqlite3
from importlib.resources import files

import pytest

from jobserver.db import migrations
from jobserver.db.migrations import SCRIPTS

REBUILDING = 4  # the version whose script makes tables anew from their own rows
LOSING = re.compile(r"\b(DROP|DELETE|TRUNCATE|REPLACE)\b", re.I)
ADDING = re.compile(r"(CREATE (TABLE|(UNIQUE )?INDEX|VIEW|TRIGGER)|ALTER TABLE \w+ ADD)\b", re.I)


def statements(script: str) -> list[str]:
    """Return the statements of a script without comments."""
    found = [""]
    for piece in re.split(r"(?<=;)", re.sub(r"--[^\n]*", "", script)):
        found[-1] += piece
        if sqlite3.complete_statement(found[-1]):  # the body of a trigger has a ; of its own
            found.append("")
    return [statement.strip().removesuffix(";") for statement in found if statement.strip()]


def only_adds(script: str) -> bool:
    """Return whether a script only adds: also rows, but to tables of its own alone."""
    own = re.findall(r"^CREATE TABLE (\w+)", script, re.M)
    first_rows = re.compile(rf"INSERT INTO ({'|'.join(own) or '-'})\b")
    return all(
        ADDING.match(statement) or first_rows.match(statement) for statement in statements(script)
    )


def test_scripts_are_numbered_from_1_without_a_gap() -> None:
    names = sorted(
        each.name
        for each in files("jobserver.db.migrations").iterdir()
        if each.name.endswith(".sql")
    )
    assert [name[:5] for name in names] == [f"{n:04}_" for n in range(1, len(names) + 1)]
    assert migrations.latest_version() == len(names) >= REBUILDING


@pytest.mark.parametrize("version", range(1, REBUILDING))
def test_the_scripts_before_the_rebuild_never_drop_or_delete(version: int) -> None:
    for statement in statements(SCRIPTS[version - 1]):
        assert not LOSING.search(statement)


def test_the_rebuild_drops_a_table_only_after_its_rows_were_copied() -> None:
    copied: set[str] = set()
    dropped: set[str] = set()
    for statement in statements(SCRIPTS[REBUILDING - 1]):
        if statement.startswith("INSERT INTO new_"):
            copied |= set(re.findall(r"\bFROM (\w+)", statement))
        elif found := re.fullmatch(r"DROP TABLE (\w+)", statement):
            assert found[1] in copied
            dropped.add(found[1])
        elif found := re.fullmatch(r"ALTER TABLE new_(\w+) RENAME TO (\w+)", statement):
            assert found[1] == found[2]
            dropped.discard(found[1])
        else:
            assert statement == "DROP VIEW job_status" or not LOSING.search(statement)
    assert copied == {"job", "job_file", "output", "sign_in_failure"}
    assert dropped == set()


def test_the_scripts_after_the_rebuild_only_add() -> None:
    for script in SCRIPTS[REBUILDING:]:
        assert only_adds(script)


@pytest.mark.parametrize(
    ("script", "adds"),
    [
        ("ALTER TABLE job ADD COLUMN a TEXT; -- DROP it not\nCREATE INDEX i ON job (a);", True),
        ("CREATE TABLE a (id TEXT);\nCREATE UNIQUE INDEX i ON a (id);", True),
        ("CREATE TABLE a (n TEXT);\nINSERT INTO a SELECT id FROM job;", True),
        ("CREATE TRIGGER t AFTER INSERT ON job BEGIN UPDATE a SET n = 1; END;", True),
        (
            "CREATE TRIGGER t AFTER INSERT ON job BEGIN UPDATE a SET n = 1; END; DROP TABLE a;",
            False,
        ),
        ("INSERT INTO job (id) VALUES (1);", False),
        ("DROP TABLE a;", False),
        ("ALTER TABLE job DROP COLUMN a;", False),
        ("ALTER TABLE job RENAME TO work;", False),
        ("CREATE TABLE a (id TEXT); DELETE FROM job;", False),
        ("UPDATE job SET seed = 0;", False),
    ],
)
def test_these_tests_see_what_they_look_for(script: str, adds: bool) -> None:
    assert only_adds(script) is adds
