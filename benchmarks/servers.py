"""The servers that benchmarks compare: ours, its floors, and peers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.nginx import Nginx
from tests.support import PROJECT, WORKERS, Server, free_port, wait_for


@contextmanager
def running(
    wsgi: str = "wsgi:app", token_of: Server | None = None, worker_count: int = WORKERS
) -> Iterator[Server]:
    """Start gunicorn with the project's configuration in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), GUNICORN_CMD_ARGS=f"--workers {worker_count}")
        server.wsgi, server.worker_count = wsgi, worker_count
        server.start()
        if token_of is not None:
            server.use_token(token_of.token)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_worker(server: Server) -> Iterator[int]:
    """Start a worker of the server, as an operator would; yield its pid."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    environment = server.environment
    with started(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: server.get("/api/health").json["worker"]["count"], 30, "a worker")
        yield process.pid


@contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; end it afterwards."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def through_nginx(server: Server) -> Iterator[int]:
    """Put nginx with deploy/nginx.conf in front of a server; yield the port."""
    folder = server.folder / "proxy"
    folder.mkdir()
    proxy = Nginx(folder, server.port).start()
    try:
        yield proxy.port
    finally:
        proxy.stop()


@contextmanager
def nginx(root: Path, locations: str = "") -> Iterator[tuple[int, int]]:
    """Serve the files below `root`; yield the port, and the pid of the process that serves."""
    port, folder = free_port(), root / "nginx"
    folder.mkdir()
    paths = "".join(
        f"{name}_temp_path {folder};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; {user} events {{}}"
        f" http {{ access_log off; {paths} sendfile on; client_max_body_size 0;"
        f" server {{ listen 127.0.0.1:{port}; root {root}; {locations} }} }}"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "error.log")]
    with started(command) as process:
        wait_for(lambda: listens(port), what="nginx")
        yield port, process.pid


@contextmanager
def copyparty(folder: Path) -> Iterator[tuple[int, int]]:
    """Start copyparty, which writes what is posted to `folder`; yield its port and pid."""
    port = free_port()
    command = [sys.executable, "-m", "copyparty", "-q", "-i", "127.0.0.1", "-p", str(port)]
    quiet = ["--no-thumb", "--no-mtag-ff", "-v", f"{folder}::rw"]
    home = {**os.environ, "XDG_CONFIG_HOME": str(folder / ".config"), "HOME": str(folder)}
    with started([*command, *quiet], env=home, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: listens(port), 30, "copyparty")
        yield port, process.pid


@contextmanager
def copy_loop(folder: Path) -> Iterator[tuple[int, int]]:
    """Start benchmarks/copy_loop.py, the floor of receiving; yield its port and pid."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.copy_loop", str(port), str(folder)]
    with started(command, cwd=PROJECT) as process:
        wait_for(lambda: listens(port), what="the copy loop")
        yield port, process.pid


def listens(port: int) -> bool:
    """Return whether something accepts connections on a port."""
    with closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
