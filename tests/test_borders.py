"""The borders between the modules, read from their source text."""

import ast
import re
from collections.abc import Iterator

import pytest

from jobserver import db
from tests.support import PROJECT

PACKAGE = PROJECT / "jobserver"
SOURCES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}

MAY_IMPORT_FLASK = {
    "__init__.py",
    "auth.py",
    "db.py",
    "errors.py",
    "health.py",
    "pages.py",
    "jobs/views.py",
}
MAY_SPEAK_SQL = {"db.py", "health.py", "jobs/store.py"}
# launch.py is what ffmpeg.py starts; it becomes ffmpeg.
MAY_START_PROGRAMS = {"render/ffmpeg.py", "render/launch.py"}

SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+\w|DROP\s+\w"
    r"|ALTER\s+TABLE\s|PRAGMA\s|BEGIN\b|COMMIT\b|ROLLBACK\b|VACUUM\b|WITH\s+\w+\s+AS\s)"
)
PROGRAMS = {"subprocess", "multiprocessing", "pty", "asyncio", "concurrent.futures.process"}
OS_PROGRAMS = re.compile(r"(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)\Z")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that a source imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def imports_of(source: str, package: str) -> bool:
    return any(
        name == package or name.startswith(package + ".") for name in imports(ast.parse(source))
    )


def speaks_sql(source: str) -> bool:
    """Return whether a text in the source begins like a statement; docstrings do not count."""
    tree = ast.parse(source)
    docstrings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node not in docstrings
        and SQL.match(node.value)
        for node in ast.walk(tree)
    )


def starts_programs(source: str) -> bool:
    tree = ast.parse(source)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return any(name in PROGRAMS for name in imports(tree)) or any(
        isinstance(call.value, ast.Name) and call.value.id == "os" and OS_PROGRAMS.match(call.attr)
        for call in calls
    )


def without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", sql, flags=re.S)


@pytest.mark.parametrize("name", SOURCES)
def test_only_the_http_modules_import_flask(name: str) -> None:
    assert name in MAY_IMPORT_FLASK or not imports_of(SOURCES[name].read_text(), "flask")


@pytest.mark.parametrize("name", SOURCES)
def test_only_db_store_and_health_speak_sql(name: str) -> None:
    assert name in MAY_SPEAK_SQL or not speaks_sql(SOURCES[name].read_text())


@pytest.mark.parametrize("name", SOURCES)
def test_only_ffmpeg_starts_programs(name: str) -> None:
    assert name in MAY_START_PROGRAMS or not starts_programs(SOURCES[name].read_text())


@pytest.mark.parametrize("name", SOURCES)
def test_render_knows_neither_the_web_nor_the_database(name: str) -> None:
    source = SOURCES[name].read_text()
    known = [
        package
        for package in ("flask", "werkzeug", "sqlite3", "jobserver.db", "jobserver.jobs")
        if imports_of(source, package)
    ]
    assert known == [] or not name.startswith("render/")


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_depends_on_the_start_of_the_server(name: str) -> None:
    source = SOURCES[name].read_text()
    assert not imports_of(source, "wsgi")
    assert not imports_of(source, "tests")


def test_the_schema_and_its_steps_never_drop_or_delete() -> None:
    schema = (PACKAGE / "schema.sql").read_text()
    for script in (schema, *db.MIGRATIONS):
        assert not re.search(r"\b(DROP|DELETE|TRUNCATE|REPLACE)\b", without_comments(script), re.I)


def test_times_in_the_sql_come_from_python() -> None:
    clock = re.compile(r"CURRENT_TIME|CURRENT_DATE|datetime\(|strftime\(|julianday|unixepoch", re.I)
    for name in MAY_SPEAK_SQL:
        assert not clock.search("\n".join(texts(SOURCES[name].read_text())))
    assert not clock.search((PACKAGE / "schema.sql").read_text())


def texts(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            yield node.value


@pytest.mark.parametrize("name", sorted(MAY_SPEAK_SQL))
def test_store_and_its_neighbours_read_no_clock_of_their_own(name: str) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(SOURCES[name].read_text()))
        if isinstance(node, ast.Call)
    }
    if name != "health.py":
        assert not calls & {"time.time", "datetime.now", "datetime.utcnow"}


def test_these_tests_see_what_they_look_for() -> None:
    assert imports_of("def f():\n    from flask import g", "flask")
    assert imports_of("import flask.views", "flask")
    assert not imports_of("import flasky", "flask")
    assert speaks_sql('f"DELETE FROM {table}"')
    assert speaks_sql('db.execute("""\n    SELECT 1""")')
    assert not speaks_sql('def f():\n    """SELECT is not said here."""')
    assert starts_programs("import subprocess")
    assert starts_programs("from subprocess import run")
    assert starts_programs("import os\nos.execvp('a', [])")
    assert not starts_programs("import os\nos.path.join('a')")
    assert without_comments("-- DROP it\nx /* DROP */") == "\nx "
    assert len(SOURCES) > 10
    assert all(speaks_sql(SOURCES[name].read_text()) for name in MAY_SPEAK_SQL)
    assert imports_of(SOURCES["jobs/views.py"].read_text(), "flask")
