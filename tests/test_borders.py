"""The borders between the rooms of jobserver/, read from the source text.

Which room may import which is checked by import-linter (pyproject.toml). Here: what a room may use
from outside, who reads the clock, how large things may grow, and which words are not used.
"""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from jobserver.db.migrations import SCRIPTS
from tests.support import PROJECT

PACKAGE = PROJECT / "jobserver"
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))
}
PAGE = {  # what visitors read, and what runs in their browsers
    path.relative_to(PACKAGE).as_posix(): path.read_text()
    for kind in ("js", "css", "html")
    for path in sorted((PACKAGE / "web").rglob(f"*.{kind}"))
}

# Where each thing may be used: a module, or a room with its "/".
HTTP = ("web/",)
WITH_FLASK = ("__init__.py", "cli/", *HTTP)
WITH_WERKZEUG = ("uploads/multipart.py", *HTTP)
WITH_GUNICORN = ("serving/",)
WITH_SQLITE3 = ("db/sqlite.py", "db/migrations/on_sqlite.py")
WITH_SQL = (
    "db/",
    *(f"auth/{name}.py" for name in ("api_keys", "audit", "throttle")),
    *(f"jobs/{name}.py" for name in ("events", "queries", "queue", "quota", "retention", "sweep")),
    *(
        f"jobs/{name}.py"
        for name in (
            *("differences", "glance", "idempotency", "overview", "relocation", "resumable"),
            *("shots", "stages", "standing", "webhooks", "workers"),
            *("gauges", "inventory"),
        )
    ),
)
# launch.py is what ffmpeg.py starts; it becomes ffmpeg.
WITH_PROGRAMS = ("render/ffmpeg.py", "render/launch.py")
READS_CLOCK = (
    "cli/",
    "db/sqlite.py",  # the clock that all who use a database share
    "logs.py",
    "web/",
    "worker/",
)  # what time it is; others receive it as `now`
# How long something takes may be measured where it is done.
READS_MONOTONIC = (
    *("cli/", "web/", "worker/", "serving/", "render/"),
    "db/migrations/on_sqlite.py",
    "db/precedence.py",
    "db/reserve.py",
    "files/s3/root.py",  # how long ago the store was asked
    "fault_log.py",  # how long a fault lasts
    "webhooks/post.py",
)

ENTRY_POINTS = ("worker/doorbell.py",)  # beside wsgi.py

MAX_LINES, MAX_CLASS_LINES, MAX_POSITIONAL = 350, 120, 4
# Their arguments have no names: the format of struct, the interface of the kernel.
WITHOUT_NAMES = {"struct.pack", "prctl", "syscall"}

SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+\w|DROP\s+\w"
    r"|ALTER\s+TABLE\s|PRAGMA\s|BEGIN\b|COMMIT\b|ROLLBACK\b|VACUUM\b|WITH\s+\w+\s+AS\s)"
)
SQL_CLOCK = re.compile(
    r"CURRENT_TIME|CURRENT_DATE|LOCALTIME|\bNOW\(|datetime\(|strftime\(|julianday|unixepoch", re.I
)
PROGRAMS = {"subprocess", "multiprocessing", "pty", "asyncio", "concurrent.futures.process"}
OS_PROGRAMS = re.compile(r"os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)\Z")
CLOCKS = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.asctime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.clock_gettime"),
}
MONOTONIC = {
    *("time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns"),
    *("time.process_time", "time.thread_time"),
}
# The words that the field does not use, whole, also as a part of an identifier (STYLE.md).
WORDS = ("told", "tell", "let go", "workshop", "admit", "whoever", "patience", "heart", "for ever")


# -- what a source does -------------------------------------------------------------------


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


def dotted(source: str) -> Iterator[str]:
    """Yield every `a.b` whose `a` is a name or an attribute, as `a.b`, called or not.

    `from a import b` counts as `a.b` too.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def statements(source: str) -> Iterator[str]:
    """Yield the texts in a source that begin like SQL; docstrings do not count."""
    tree = ast.parse(source)
    docstrings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or node in docstrings:
            continue
        if isinstance(node.value, str) and SQL.match(node.value):
            yield node.value


def has_sql(source: str) -> bool:
    return any(statements(source))


def starts_programs(source: str) -> bool:
    return any(name in PROGRAMS for name in imports(ast.parse(source))) or any(
        OS_PROGRAMS.match(name) for name in dotted(source)
    )


def reads_clock(source: str) -> bool:
    return bool(CLOCKS & set(dotted(source)))


def reads_monotonic(source: str) -> bool:
    return bool(MONOTONIC & set(dotted(source)))


def names_from_root(source: str) -> set[str]:
    """Return what a source imports from the package itself that is no room and no module."""
    rooms = {name.partition("/")[0].removesuffix(".py") for name in SOURCES} - {"__init__"}
    names = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "jobserver"
        for alias in node.names
    }
    return names - rooms


def looks_into_config(source: str) -> bool:
    """Return whether a setting is looked up by its name: `config["X"]`, `config.get("X")`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and re.search(r"\bconfig\Z", ast.unparse(node.value)):
            return True
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("config.get"):
            return True
    return False


def crowded_calls(source: str) -> list[str]:
    """Return the calls with more positional arguments than a reader can tell apart."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and len(node.args) > MAX_POSITIONAL
        and not WITHOUT_NAMES & {ast.unparse(node.func), ast.unparse(node.func).split(".")[-1]}
    ]


def large_classes(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_CLASS_LINES
    ]


def unwanted_words(text: str) -> list[str]:
    """Return the words of WORDS in a text: in prose, and as parts of identifiers.

    `tell` may be the method of files, which `io` names so.
    """
    text = re.sub(r"(?:\.|\bdef )tell\(", "(", text)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)  # PatientWorker -> Patient Worker
    plain = " ".join(re.sub(r"[_#*]", " ", plain).lower().split())  # also across two lines
    return [word for word in WORDS if re.search(rf"\b{word}\b", plain)]


# -- where it may be done -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("flask", WITH_FLASK),
        ("click", ("cli/", "client/")),
        ("werkzeug", WITH_WERKZEUG),
        ("multipart", ("uploads/multipart.py",)),
        ("itsdangerous", ("auth/",)),
        ("gunicorn", WITH_GUNICORN),
        ("sqlite3", WITH_SQLITE3),
        ("psycopg", ("db/postgres/",)),
        ("psycopg_pool", ("db/postgres/",)),
        (
            "pydantic",
            (
                "settings/",
                "web/openapi/",
                "web/shapes.py",
                "web/service_shapes.py",
                "worker/facts.py",
            ),
        ),
        ("pydantic_settings", ("settings/",)),
        ("imageio_ffmpeg", ("render/",)),
        ("fontTools", ("render/text/fonts.py",)),
        ("PIL", ("render/decode_picture.py", "render/stills.py", "render/text/")),
        ("boto3", ("files/s3/client.py",)),
        ("botocore", ("files/s3/client.py",)),
        ("prometheus_client", ("metrics/",)),
        ("celery", ("worker/doorbell.py",)),
    ],
)
def test_a_package_is_imported_only_where_it_belongs(
    package: str, allowed: tuple[str, ...]
) -> None:
    users = [name for name, source in SOURCES.items() if imports_of(source, package)]
    assert [name for name in users if not name.startswith(allowed)] == []
    assert users != []  # else this test looks for something that is not there


@pytest.mark.parametrize(
    ("does", "allowed"),
    [
        (has_sql, WITH_SQL),
        (starts_programs, WITH_PROGRAMS),
        (reads_clock, READS_CLOCK),
        (reads_monotonic, READS_MONOTONIC),
    ],
)
def test_it_is_done_only_where_it_belongs(
    does: Callable[[str], bool], allowed: tuple[str, ...]
) -> None:
    doers = [name for name, source in SOURCES.items() if does(source)]
    assert [name for name in doers if not name.startswith(allowed)] == []
    unused = [place for place in allowed if not any(name.startswith(place) for name in doers)]
    assert unused == []  # a place that does it no more is taken off the list


def test_the_worker_and_the_command_line_know_no_http() -> None:
    for name, source in SOURCES.items():
        if name.startswith("worker/"):
            assert not any(imports_of(source, package) for package in ("flask", "werkzeug")), name
    assert not imports_of(SOURCES["cli/jobs.py"], "werkzeug")


@pytest.mark.parametrize("name", SOURCES)
def test_no_module_depends_on_the_start_of_the_server(name: str) -> None:
    source = SOURCES[name]
    assert not imports_of(source, "wsgi")
    assert not imports_of(source, "tests")
    # create_app wires the rooms; no room uses it, but where a process of another program begins
    assert names_from_root(source) == ({"create_app"} if name in ENTRY_POINTS else set())


@pytest.mark.parametrize("name", SOURCES)
def test_no_setting_is_looked_up_by_its_name(name: str) -> None:
    assert not looks_into_config(SOURCES[name])


def test_times_in_the_sql_come_from_python() -> None:
    written = [text for source in SOURCES.values() for text in statements(source)]
    assert [text for text in (*written, *SCRIPTS) if SQL_CLOCK.search(text)] == []


# -- how it reads ---------------------------------------------------------------------------


def test_no_module_and_no_class_holds_two_concerns() -> None:
    long = {name: source.count("\n") for name, source in (SOURCES | PAGE).items()}
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}
    assert {name: found for name, text in SOURCES.items() if (found := large_classes(text))} == {}


@pytest.mark.parametrize("name", SOURCES)
def test_no_call_has_more_than_four_positional_arguments(name: str) -> None:
    assert crowded_calls(SOURCES[name]) == []


@pytest.mark.parametrize("name", [*SOURCES, *PAGE])
def test_words_are_those_of_the_field(name: str) -> None:
    assert unwanted_words((SOURCES | PAGE)[name]) == []


# -- do these tests see what they look for? --------------------------------------------------


def test_imports_are_seen() -> None:
    assert imports_of("def f():\n    from flask import g", "flask")
    assert imports_of("import flask.views", "flask")
    assert not imports_of("import flasky", "flask")
    assert imports_of(SOURCES["web/jobs.py"], "flask")
    assert names_from_root("from jobserver import create_app, db") == {"create_app"}


def test_sql_is_seen() -> None:
    assert has_sql('f"DELETE FROM {table}"')
    assert has_sql('db.execute("""\n    SELECT 1""")')
    assert not has_sql('def f():\n    """SELECT is only a word here."""')
    assert SQL_CLOCK.search("SELECT strftime('%s')")
    assert SQL_CLOCK.search("VALUES (CURRENT_TIMESTAMP)")


def test_programs_are_seen() -> None:
    assert starts_programs("import subprocess")
    assert starts_programs("from subprocess import run")
    assert starts_programs("import os\nos.execvp('a', [])")
    assert starts_programs("from os import execvp")
    assert not starts_programs("import os\nos.path.join('a')")


def test_clocks_are_seen() -> None:
    assert reads_clock("import time\ntime.time()")
    assert reads_clock("field(default_factory=time.time)")
    assert reads_clock("from time import time")
    assert reads_clock("from datetime import UTC, datetime\ndatetime.now(UTC)")
    assert reads_clock("import datetime\ndatetime.datetime.now()")
    assert not reads_clock("datetime.fromtimestamp(now, UTC)")
    assert not reads_clock("time.sleep(1)")
    assert reads_monotonic("time.monotonic()")
    assert not reads_clock("time.monotonic()")


def test_settings_by_name_are_seen() -> None:
    assert looks_into_config('app.config["DATABASE"]')
    assert looks_into_config('config["DATABASE"]')
    assert looks_into_config('current_app.config.get("DATABASE")')
    assert not looks_into_config('settings["a"], read_config_of("a")')


def test_sizes_are_seen() -> None:
    body = "    a = 1\n" * MAX_CLASS_LINES
    assert large_classes(f"class A:\n{body}") == ["A"]
    assert large_classes(f"class A:\n{body[: -len('    a = 1')]}") == []
    assert crowded_calls("f(1, 2, 3, 4)\ng(1, 2, 3, 4, a=5)") == []
    assert crowded_calls("f(1, 2, 3, 4, 5)") == ["f(1, 2, 3, 4, 5)"]
    assert crowded_calls("a.f(1, 2, 3, 4, *b)") == ["a.f(1, 2, 3, 4, *b)"]
    assert crowded_calls("struct.pack('<4B', 1, 2, 3, 4)") == []


@pytest.mark.parametrize(
    "text",
    [
        "def _told(job): ...",
        "toldJob()",
        "what the client is told",
        "# Tell it.",
        "x.let_go(y)",
        "class Heart:",
        "HeartOfIt()",
        "it may take for ever",
        "# it may take for\n    # ever",
        '"""Whoever asks."""',
        "ADMIT_S = 3",
        "const patience = 1;",
    ],
)
def test_unwanted_words_are_seen(text: str) -> None:
    assert unwanted_words(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "Heartbeat",
        "heartbeat.running()",
        "self._file.tell()",
        "def tell(self) -> int:",
        "for each one, forever_1, whatever, however",
        "admittance, intellect, untold",
    ],
)
def test_other_words_are_not_seen(text: str) -> None:
    assert unwanted_words(text) == []
