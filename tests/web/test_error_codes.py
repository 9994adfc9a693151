"""One table of codes: every error has its line, and README and nginx say the same."""

import ast
import importlib
import re
from collections.abc import Iterator

import pytest
from werkzeug.exceptions import HTTPException

from jobserver import db
from jobserver.brief.errors import BriefError
from jobserver.errors import (
    AuthError,
    Conflict,
    FetchCancelled,
    Forbidden,
    Gone,
    JobserverError,
    NotFound,
    NothingChosen,
    Unavailable,
    UploadError,
    WorkLeft,
)
from jobserver.settings import SettingsError
from jobserver.web.error_codes import CODES, code_of, code_of_status
from tests.support import PROJECT
from tests.test_borders import SOURCES

NGINX = PROJECT / "deploy/nginx.conf"
ONLY_BASES = {AuthError, Forbidden, UploadError, NotFound, Gone, Conflict, Unavailable}
NO_CLIENT_SEES = {
    *(db.DatabaseError, db.DatabaseUnusable, db.ConstraintViolated, SettingsError),
    *(FetchCancelled, WorkLeft),  # of a worker
    NothingChosen,  # an empty field of a form, which is left out
}


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for error in base.__subclasses__():
        if error.__module__.startswith("jobserver."):
            yield error
        yield from subclasses(error)


def raised(name: str) -> set[type[Exception]]:
    """Return the classes of our errors and HTTP's that a module raises by name."""
    module = importlib.import_module("jobserver." + name.removesuffix(".py").replace("/", "."))
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name])):
        if isinstance(node, ast.Raise) and node.exc is not None:
            what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            value: object = module
            for part in ast.unparse(what).split("."):
                value = getattr(value, part, None)
            if isinstance(value, type) and issubclass(
                value, JobserverError | HTTPException | BriefError
            ):
                found.add(value)
    return found


def test_every_error_has_a_code_unless_no_client_sees_it() -> None:
    without = {error for error in subclasses(JobserverError) if code_of(error) is None}
    assert without == ONLY_BASES | NO_CLIENT_SEES


def test_every_error_that_is_raised_has_a_code_unless_no_client_sees_it() -> None:
    modules = [name for name in SOURCES if not name.endswith(("__init__.py", "__main__.py"))]
    found = set().union(*map(raised, modules))
    assert len(found) > 40  # else this test looks for something that is not there
    assert {error for error in found if code_of(error) is None} <= NO_CLIENT_SEES


def test_no_two_codes_answer_the_same_class() -> None:
    kinds = [kind for line in CODES.values() for kind in line.raised]
    assert len(kinds) == len(set(kinds))
    assert all(line.raised for line in CODES.values())


def test_what_has_a_time_after_which_to_repeat_is_said_to_have_one() -> None:
    for error in subclasses(JobserverError):
        if (code := code_of(error)) and getattr(error, "retry_after", None):
            assert CODES[code].retry, code


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_plain_and_its_status_an_error(code: str) -> None:
    line = CODES[code]
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code)
    assert 400 <= line.status < 600
    kinds = [kind for kind in line.raised if issubclass(kind, HTTPException)]
    assert all(kind.code == line.status for kind in kinds)
    assert all(code_of_status(line.status) == code for _ in kinds)


def test_readme_has_this_table() -> None:
    lines = [
        f"| {line.status} | `{code}` | {line.when}{'; repeat after `Retry-After` s' * line.retry} |"
        for code, line in CODES.items()
    ]
    expected = "\n".join(["| status | `code` | when |", "|---|---|---|", *lines, ""])
    readme = (PROJECT / "README.md").read_text()
    section = readme.partition("\n### Errors\n")[2].partition("\n## ")[0]
    if expected not in section:
        print(expected)
    assert expected in section, "README's table of errors should be as printed"


def test_nginx_has_the_codes_of_what_it_refuses_itself() -> None:
    found = re.search(r"map \$status \$jobserver_code \{(.*?)\}", NGINX.read_text(), re.S)
    assert found
    lines = dict(line.split() for line in found[1].replace(";", "").strip().splitlines())
    assert CODES[lines.pop("default")].status == 500
    assert CODES[lines.pop("494")].status == 431  # nginx has a status of its own for it
    assert {status: CODES[code].status for status, code in lines.items()} == {
        status: int(status) for status in lines
    }
