"""What runs on the hosts. A host is killed, frozen and cut off as a whole; each can start again."""

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg

from jobserver.ids import generate_id
from tests.bucket import BUCKET, Gateway
from tests.cluster import armed
from tests.cluster.network import Network
from tests.nginx import Nginx
from tests.postgres import PASSWORD as DATABASE_PASSWORD
from tests.postgres import USER, Cluster
from tests.support import PASSWORD, PROJECT, WORKERS, free_port, wait_for

WEB_PORT = 8080
# Seconds: shorter than they are, so that a round takes minutes.
QUICK = {"LEASE_S": "6", "HEARTBEAT_S": "1", "BEAT_S": "2", "RETRY_DELAYS_S": "1,2"}


class Program(Protocol):
    """What a host runs. folder: of its log."""

    folder: Path

    def command(self) -> list[str]:
        """Return the words that start it, on any host."""

    def environment(self) -> dict[str, str]:
        """Return what it finds in its environment."""


class Host:
    """A namespace and the program in it, which a supervisor starts again when it has ended."""

    def __init__(self, network: Network, name: str, runs: Program) -> None:
        self.network, self.name, self.runs = network, name, runs
        self.log_path = runs.folder / f"{name}.log"
        self.fault_path = runs.folder / f"{name}.fault"
        self.down = self.frozen = False  # as a fault wants it
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def lives(self) -> bool:
        """Whether its program runs, be it frozen."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        environment = {**self.runs.environment(), armed.VARIABLE: str(self.fault_path)}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.network.inside(self.name, *self.runs.command()),
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def supervise(self) -> None:
        """Start it again if it has ended, as systemd does."""
        if not self.down and not self.lives:
            self.kill()  # what is left of it
            self.start()

    def pids(self) -> list[int]:
        """Return the processes on this host."""
        namespace = self.network.namespace(self.name)
        done = subprocess.run(
            ["ip", "netns", "pids", namespace], capture_output=True, text=True, timeout=20
        )
        return [int(pid) for pid in done.stdout.split()]

    def signal(self, number: signal.Signals) -> int:
        """Send it to every process on the host; return how many there were."""
        found = self.pids()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(found)

    def kill(self) -> None:
        """Let nothing live on the host, as when its power fails."""
        wait_for(lambda: self.signal(signal.SIGKILL) == 0, 20, f"the end of {self.name}")
        if self._process is not None:
            self._process.wait(10)

    def freeze(self) -> None:
        self.frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.frozen = False
        self.signal(signal.SIGCONT)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


class Database:
    """A PostgreSQL whose control is a socket, which reaches across namespaces."""

    def __init__(self, address: str) -> None:
        self._cluster = Cluster()
        self.folder, self._address = self._cluster.folder, address
        with (self._cluster.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/24 scram-sha-256\n")

    def command(self) -> list[str]:
        words = self._cluster.command(listen_addresses=self._address, max_connections="100")
        if self._cluster.owner is None:
            return words
        user, group = self._cluster.owner
        return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *words]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    @property
    def url(self) -> str:
        """As hosts reach it."""
        password = quote(DATABASE_PASSWORD, safe="")
        return f"postgresql://{USER}:{password}@{self._address}:{self._cluster.port}/postgres"

    @property
    def local_url(self) -> str:
        """As we reach it, whatever is cut."""
        place = f"host={quote(str(self.folder), safe='')}&port={self._cluster.port}"
        return f"postgresql://{USER}:{quote(DATABASE_PASSWORD, safe='')}@/postgres?{place}"

    def rows(self, query: str) -> list[Any]:
        with closing(psycopg.connect(self.local_url, autocommit=True)) as session:
            return session.execute(query.encode()).fetchall()

    def answers(self) -> bool:
        with suppress(psycopg.Error):
            return self.rows("SELECT 1") == [(1,)]
        return False

    def remove(self) -> None:
        self._cluster.remove()


class Bucket:
    """An S3 server; its prefix is this run's."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir()
        self.folder, self.gateway = folder, Gateway(folder, address)
        self.prefix = f"cluster/{generate_id()}"
        self.url = f"s3://{BUCKET}/{self.prefix}"

    def command(self) -> list[str]:
        return self.gateway.command()

    def environment(self) -> dict[str, str]:
        return self.gateway.secrets


class Jobserver:
    """What web servers and workers have in common: the settings of this site."""

    def __init__(self, folder: Path, database: Database, bucket: Bucket) -> None:
        self.folder, self.database, self.bucket = folder, database, bucket

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "DATABASE_URL": self.database.url,
            "STORAGE_URL": self.bucket.url,
            "AUTH_PASSWORD": PASSWORD,
            "SECRET_KEY": "a key that all hosts have",
            "SCRATCH_DIR": str(self.folder / "scratch"),
            **self.bucket.gateway.environment,
        }


class Web(Jobserver):
    """A web server on an address of its own."""

    def __init__(self, site: Jobserver, address: str) -> None:
        super().__init__(site.folder, site.database, site.bucket)
        self._address = address

    def command(self) -> list[str]:
        bind = f"--bind={self._address}:{WEB_PORT}"
        words = [bind, f"--workers={WORKERS}", "tests.cluster.faulty_web:app"]
        return [sys.executable, "-m", "gunicorn", *words]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "TRUSTED_PROXIES": "1"}


class Worker(Jobserver):
    """A worker. render: `sleep`, or `ffmpeg`."""

    def __init__(self, site: Jobserver, name: str, render: str) -> None:
        super().__init__(site.folder, site.database, site.bucket)
        self._name, self._render = name, render

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.cluster.faulty_worker"]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            **QUICK,
            "WORKERS": "1",
            "ENCODER_PRESET": "ultrafast",
            "IDLE_S": "0.3",
            "HOUSEKEEPING_S": "5",
            "RENDER": self._render,
            "SCRATCH_DIR": str(self.folder / f"scratch-{self._name}"),  # a disk of its own
        }


class Balancer:
    """nginx with the project's configuration in front of all web servers."""

    def __init__(self, folder: Path, address: str, upstreams: list[str]) -> None:
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        servers = " ".join(f"server {each}:{WEB_PORT};" for each in upstreams)
        listen = f"listen {address}:{self.port};"
        Nginx(folder, 1, **{"listen 80;": listen, "server 127.0.0.1:8080;": servers})

    def command(self) -> list[str]:
        program = "/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "nginx"
        return [program, "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}
