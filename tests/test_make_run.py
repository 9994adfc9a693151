"""`make run`, as somebody tries the project: the password is for a terminal."""

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PROJECT, free_port, wait_for

pytestmark = pytest.mark.tools


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an empty instance folder; the packages are those of the tests."""
    copy = tmp_path / "checkout"
    shutil.copytree(PROJECT / "jobserver", copy / "jobserver")
    for name in ("Makefile", "wsgi.py", "gunicorn.conf.py", "setup.cfg", "pyproject.toml"):
        shutil.copy(PROJECT / name, copy)
    (copy / "instance").mkdir()
    return copy


@contextmanager
def running(checkout: Path, stdout: int, **environment: str) -> Iterator[Path]:
    """Run it with this standard output; give the log of its processes once it serves."""
    log = checkout / "log"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = ["make", "-o", f"{sys.prefix}/.run", "run", f"VENV={sys.prefix}"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, f"PORT={free_port()}"],
            cwd=checkout,
            env={**kept, "PYTHONPATH": str(checkout), **environment},
            stdout=stdout,
            stderr=errors,
            start_new_session=True,
        )
    try:
        wait_for(lambda: "Listening at" in log.read_text(), 30, "a server")
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(40)


def test_the_password_is_not_printed_into_a_pipe_or_file(checkout: Path) -> None:
    with (checkout / "out").open("wb") as out, running(checkout, out.fileno()):
        pass
    password = (checkout / "instance/password").read_text().strip()
    printed = (checkout / "out").read_text() + (checkout / "log").read_text()
    assert len(password) >= 16
    assert password not in printed
    assert str(checkout / "instance/password") in printed
    assert "Open http://127.0.0.1:" in printed


def test_the_password_is_printed_on_a_terminal(checkout: Path) -> None:
    master, terminal = pty.openpty()
    with running(checkout, terminal):
        os.close(terminal)
        printed = os.read(master, 65536).decode()
        while "Open http" not in printed:
            printed += os.read(master, 65536).decode()
    os.close(master)
    password = (checkout / "instance/password").read_text().strip()
    assert f"The password is {password}" in printed
    assert f'"password":"{password}"' in printed


def test_a_password_of_ones_own_in_a_file_is_used(checkout: Path) -> None:
    (checkout / "own").write_text("a password of my own\n")
    master, terminal = pty.openpty()
    with running(checkout, terminal, AUTH_PASSWORD_FILE=str(checkout / "own")):
        os.close(terminal)
        printed = os.read(master, 65536).decode()
        while "Open http" not in printed:
            printed += os.read(master, 65536).decode()
    os.close(master)
    assert "The password is a password of my own" in printed
