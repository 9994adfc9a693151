"""Who is signed in: JOBSERVER_URL with JOBSERVER_PASSWORD or JOBSERVER_KEY, or what `login` kept.

What `login` keeps is one file in the user's config folder that nobody else can read.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from jobserver.client.client import Client
from jobserver.client.errors import ClientError, LocalProblem

SIGN_IN = "sign in with `jobserver login URL`, or set JOBSERVER_PASSWORD or JOBSERVER_KEY"


MAX_BEGUN = 100  # uploads that are remembered; the server forgets them after a day


class NobodySignedIn(ClientError):
    """There is neither a session nor what would begin one."""


def open_client(environment: Mapping[str, str]) -> Client:
    """Return a client that is signed in. Raises NobodySignedIn, and what signing in raises."""
    kept = _read()
    url = environment.get("JOBSERVER_URL") or kept.get("url")
    if not url:
        raise NobodySignedIn(f"No server is named: {SIGN_IN}")
    if key := environment.get("JOBSERVER_KEY"):
        return Client(url, token=key)
    if password := environment.get("JOBSERVER_PASSWORD"):
        client = Client(url)
        client.sign_in(password)
        return client
    if kept.get("url") != url.rstrip("/"):  # a token goes to its own server alone
        raise NobodySignedIn(f"Nobody is signed in at {url}: {SIGN_IN}")
    return Client(url, token=kept["token"])


def keep(url: str, token: str) -> Path:
    """Keep a session in place of the one before; return where."""
    _write(_path(), {"url": url.rstrip("/"), "token": token})
    return _path()


def _write(path: Path, content: Mapping[str, str]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
        os.replace(draft, path)
    except OSError as error:
        raise LocalProblem(f"{path} cannot be written: {error.strerror}") from error


def forget() -> None:
    """Forget the session, if there is one."""
    _path().unlink(missing_ok=True)


class BegunUploads(dict[str, str]):
    """Uploads that have begun, kept in a file so that the next command goes on with them."""

    def __init__(self) -> None:
        with suppress(OSError, ValueError):  # then they begin anew
            found = json.loads(self._file().read_text())
            super().__init__({str(key): str(value) for key, value in found.items()})

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        self._keep()

    def pop(self, key: str, *default: Any) -> Any:
        """Forget one."""
        found = super().pop(key, *default)
        self._keep()
        return found

    def _keep(self) -> None:
        with suppress(LocalProblem):
            _write(self._file(), dict(list(self.items())[-MAX_BEGUN:]))

    @staticmethod
    def _file() -> Path:
        return _path().with_name("uploads.json")


def _read() -> dict[str, str]:
    try:
        found = json.loads(_path().read_text())
        return {"url": str(found["url"]), "token": str(found["token"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalProblem(f"{_path()} cannot be read; sign in again") from error


def _path() -> Path:
    return Path(click.get_app_dir("jobserver")) / "session.json"
