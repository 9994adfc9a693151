"""docs/many-machines.md, as it stands: three network namespaces are its three machines."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from boto3.session import Session

from tests.bucket import BUCKET
from tests.cluster.network import Network, inside, network
from tests.cluster.roles import Bucket, Database, Host
from tests.postgres import PASSWORD as DATABASE_PASSWORD
from tests.support import PROJECT, Server, wait_for

pytestmark = pytest.mark.tools
DOC = (PROJECT / "docs" / "many-machines.md").read_text()
PASSWORD = "the password that people sign in with"
NET, MACHINES = "10.0.0.", ("one", "data", "render")  # .1, .2, .3 there
PARTS = ("wsgi.py", "gunicorn.conf.py")


class Block(NamedTuple):
    """Commands of the page. machine: where they are typed. how: `runs` does not end."""

    machine: str
    how: str
    commands: str


def blocks() -> list[Block]:
    """The commands of the page in their sequence."""
    found = re.findall(r"^```sh (\w+) ?(\w*)\n(.*?)\n```$", DOC, re.S | re.M)
    return [Block(*each) for each in found]


class Machines:
    """The folders of three machines, each with a checkout, and what runs on them."""

    def __init__(self, folder: Path, net: Network, stack: ExitStack) -> None:
        self._folder, self._net, self._stack = folder, net, stack
        for name in MACHINES:
            checkout = folder / name
            shutil.copytree(PROJECT / "jobserver", checkout / "jobserver")
            for part in PARTS:
                shutil.copy(PROJECT / part, checkout)
            (checkout / ".venv").symlink_to(sys.prefix)
        (folder / "bin").mkdir()

    def shell(self, machine: str, commands: str, **environment: str) -> str:
        """Type commands; return what they print."""
        done = subprocess.run(
            self._net.inside(machine, "bash", "-ec", commands),
            cwd=self._folder / machine,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (commands, done.stdout, done.stderr)
        return done.stdout

    def start(self, machine: str, commands: str, **environment: str) -> subprocess.Popen[bytes]:
        """Type a command that goes on until the end of the test."""
        with (self._folder / f"{machine}.log").open("ab") as log:
            process = subprocess.Popen(
                self._net.inside(machine, "bash", "-ec", f"exec {commands}"),
                cwd=self._folder / machine,
                env=self._environment(environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._stack.callback(stop, process)
        return process

    def log(self, machine: str) -> str:
        return (self._folder / f"{machine}.log").read_text()

    def sudo(self, socket: Path, port: int) -> None:
        """Let `sudo -u postgres psql` reach the server of the test, as its superuser."""
        program = self._folder / "bin" / "sudo"
        program.write_text(
            f"#!/bin/sh\nshift 2\nexport PGHOST='{socket}' PGPORT={port} PGUSER=postgres"
            f" PGPASSWORD='{DATABASE_PASSWORD}'\nexec \"$@\"\n"
        )
        program.chmod(0o755)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        path = f"{self._folder / 'bin'}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self._folder), **more}


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(40)


@contextmanager
def data_machine(folder: Path, net: Network) -> Iterator[Database]:
    """PostgreSQL and S3, as section 1 has them before its commands; the bucket is made."""
    database, bucket = Database(net["data"]), Bucket(folder / "s3", net["data"])
    database._cluster.port, bucket.gateway.port = 5432, 3900
    environment = bucket.environment()
    environment |= {"MINIO_ROOT_USER": "storage-key", "MINIO_ROOT_PASSWORD": "storage-secret"}
    bucket.environment = lambda: environment  # type: ignore[method-assign]
    hosts = [Host(net, "data", database), Host(net, "data", bucket)]
    try:
        for host in hosts:
            host.start()
        wait_for(database.answers, 30, "PostgreSQL")
        rename_superuser(database)
        with inside(net.namespace("data")):
            wait_for(bucket.gateway.answers, 30, "the store")
            make_bucket(bucket)
        yield database
    finally:
        hosts[0].kill()
        database.remove()


def rename_superuser(database: Database) -> None:
    """Debian calls it postgres; ours has the name that the page gives to a role."""
    with closing(psycopg.connect(database.local_url, autocommit=True)) as session:
        session.execute("CREATE ROLE other SUPERUSER LOGIN PASSWORD 'other'")
    other = re.sub(r"//[^@]+@", "//other:other@", database.local_url)
    with closing(psycopg.connect(other, autocommit=True)) as session:
        session.execute("ALTER ROLE jobserver RENAME TO postgres")


def make_bucket(bucket: Bucket) -> None:
    client = Session("storage-key", "storage-secret", region_name="us-east-1").client(
        "s3", endpoint_url=bucket.gateway.url
    )
    client.create_bucket(Bucket=BUCKET)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Three machines; on `data` are a database server and a store without content."""
    with (
        network(MACHINES, NET, 1) as net,
        data_machine(tmp_path, net) as database,
        ExitStack() as stack,
    ):
        made = Machines(tmp_path, net, stack)
        made.sudo(database.folder, 5432)
        with inside(net.namespace("one")):
            yield made


def asked(folder: Path, address: str) -> Server:
    """A server that was started elsewhere."""
    server = Server(folder)
    server.address, server.port = address, 8080
    return server


def test_the_commands_of_the_page_lead_from_one_machine_to_three(
    machines: Machines, tmp_path: Path, clip: bytes
) -> None:
    old = {"AUTH_PASSWORD": PASSWORD, "ENCODER_PRESET": "ultrafast"}
    flask = ".venv/bin/flask --app wsgi"
    machines.shell("one", f"{flask} init-db", **old)
    serving = machines.start("one", ".venv/bin/gunicorn wsgi:app", **old)
    (tmp_path / "client").mkdir()
    before = asked(tmp_path / "client", "127.0.0.1")
    wait_for(lambda: "Listening at" in machines.log("one"), 30, "a server")
    token = before.sign_in(PASSWORD).json["token"]
    before.use_token(token)
    done = before.upload(clip, variations="2").json["jobId"]
    machines.shell("one", f"{flask} worker --once", **old)
    waits = before.upload(clip, variations="1").json["jobId"]
    shown = before.get(f"/api/jobs/{done}", token).json
    assert shown["status"] == "completed"
    stop(serving)

    printed = [follow(machines, block) for block in blocks()]
    assert [block.machine for block in blocks()] == [
        *("data", "one", "one", "one", "one", "render", "one"),
    ]
    health = json.loads(printed[-1].splitlines()[0])
    assert (health["status"], health["worker"]["count"]) == ("ok", 1)
    assert done in printed[-1]
    assert waits in printed[-1]

    now = asked(tmp_path / "client", f"{NET}1")
    now.use_token(token)  # of before
    wait_for(lambda: now.get(f"/api/jobs/{waits}", token).json["status"] == "completed", 60)
    again = now.get(f"/api/jobs/{done}", token).json
    outputs = [file["outputs"] for file in (*shown["files"], *again["files"])]
    assert [each["sha256"] for each in outputs[0]] == [each["sha256"] for each in outputs[1]]
    assert now.get(shown["files"][0]["outputs"][0]["url"]).status == 200  # a link of before
    refused = subprocess.run(
        [".venv/bin/flask", "--app", "wsgi", "worker"],
        cwd=tmp_path / "one",
        env={"PATH": os.environ["PATH"], "FLASK_SKIP_DOTENV": "1", **old},
        capture_output=True,
        text=True,
    )
    assert "moved to jobserver at 10.0.0.2:5432" in refused.stderr


def follow(machines: Machines, block: Block) -> str:
    """Type a block; return what it prints, nothing of what goes on."""
    if block.how == "install":
        return ""
    if block.machine == "render":
        shutil.copy(machines._folder / "one" / ".env", machines._folder / "render")
    if block.how == "runs":
        machines.start(block.machine, block.commands, ENCODER_PRESET="ultrafast")
        said = {"one": "Listening at: http://10.0.0.1", "render": "started, WORKERS="}
        wait_for(lambda: said[block.machine] in machines.log(block.machine), 40, block.commands)
        return ""
    return machines.shell(block.machine, block.commands, AUTH_PASSWORD=PASSWORD)
