"""A PostgreSQL of the tests' own, from Debian's package: its data, socket and port are theirs."""

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from jobserver.db import initialise
from tests.support import free_port, wait_for

USER, PASSWORD = "jobserver", "p@ss word/%"
# No disk is synced: a process may be killed, the machine is not.
SETTINGS = {"fsync": "off", "max_connections": "200", "listen_addresses": "127.0.0.1"}


def program(name: str) -> str:
    """Return the path of a program of the newest PostgreSQL that is installed."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=_version) or [name]
    return found[-1]


def _version(path: str) -> float:
    return float(path.split("/")[4])


class Cluster:
    """A server with one user; each test has a database of its own in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jobserver-postgres-"))
        self.data, self.port = self.folder / "data", free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        self.owner: tuple[int, int] | None = None  # user and group, where that is not ours
        if os.geteuid() == 0:  # initdb refuses root
            name = "postgres" if _has_user("postgres") else "nobody"
            entry = pwd.getpwnam(name)
            self.owner = (entry.pw_uid, entry.pw_gid)
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._initialise()

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)  # in a folder of mode 0700
        words = ["-D", self.data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}"]
        done = subprocess.run(
            [program("initdb"), *words, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            **self._user,
        )
        assert done.returncode == 0, done.stderr

    def command(self, **settings: str) -> list[str]:
        """What serves the cluster, with SETTINGS and these in place of some of them."""
        options = [f"-c{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        places = ["-D", str(self.data), "-k", str(self.folder), f"-p{self.port}"]
        return [program("postgres"), *places, *options]

    def start(self, **settings: str) -> "Cluster":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(**settings), cwd=self.folder, stdout=log, stderr=log, **self._user
            )
        wait_for(self._answers, 20, f"a start of PostgreSQL; its log is in {self.folder}")
        return self

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once, as a crash does (SIGQUIT), or after its sessions were ended (SIGINT)."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", **parts: Any) -> str:
        of = {"user": USER, "password": PASSWORD, "port": self.port, **parts}
        name, password = quote(str(of["user"])), quote(str(of["password"]), safe="")
        return f"postgresql://{name}:{password}@127.0.0.1:{of['port']}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement as the tests' user, in a session of its own."""
        with closing(psycopg.connect(self.url(database), autocommit=True)) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template0") -> str:
        """Make a database; return its name."""
        name = f"db_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def create_initialised(self) -> str:
        """Make a database that `init-db` has been run on; return its URL."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'initialised'"):
            self.execute("CREATE DATABASE initialised")
            initialise(self.url("initialised"))
        name = self.create("initialised")
        own_id = f"UPDATE meta SET value = '{name}' WHERE name = 'database_id'"  # noqa: S608
        self.execute(own_id, name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with suppress(psycopg.OperationalError):
            return self.execute("SELECT 1") == [(1,)]
        return False


def _has_user(name: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False
