"""What delivering and removing results costs, each beside its floor."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.load import MIB, cpu_seconds
from benchmarks.report import ROUNDS, report, running
from jobserver import db
from jobserver.jobs import expiry
from jobserver.jobs.expiry import Clock, Housekeeper, Storage
from tests.results import Clip, make_job
from tests.support import Server, free_port, wait_for

SIZE = 256 * MIB
NOW = 2e9


def downloading() -> None:
    """MB/s of one output and of a ZIP to one client; floor: nginx sends the same bytes."""
    with running() as ours, nginx(ours.folder) as port:
        job = make_job(ours, Clip(outputs=[os.urandom(MIB) * (SIZE // MIB // 4)] * 4))
        single = make_job(ours, Clip(outputs=[os.urandom(MIB) * (SIZE // MIB)]))
        zipped = ours.folder / "job.zip"
        zipped.write_bytes(ours.get(job.download, ours.token).body)
        for what, path, file in (
            ("one output", single.output(), single.paths[0]),
            ("a ZIP", job.download, zipped),
        ):
            compare(what, ours, path, port, str(file.relative_to(ours.folder)))


def compare(what: str, ours: Server, path: str, port: int, file: str) -> None:
    """Download both in turns; print the best rates, and the CPU of the web workers."""
    rates, cpu = [], []
    for _ in range(ROUNDS):
        before = cpu_seconds(ours)
        mine = megabytes_per_second(ours.port, path, ours.token)
        cpu.append(cpu_seconds(ours) - before)
        rates.append((mine, megabytes_per_second(port, f"/{file}", "")))
    best = [max(each) for each in zip(*rates, strict=True)]
    report(f"download of {what}", "MB/s", "floor: nginx", *best)
    print(f"CPU to send {what}: {min(cpu) / SIZE * 1e9:.2g} s/GB", flush=True)


def megabytes_per_second(port: int, path: str, token: str) -> float:
    """Download once over a plain socket."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    buffer, size, start = bytearray(MIB), 0, time.perf_counter()
    with closing(socket.create_connection(("127.0.0.1", port), 60)) as sock:
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode())
        while count := sock.recv_into(buffer):
            assert size or buffer.startswith(b"HTTP/1.1 200"), bytes(buffer[:200])
            size += count
    assert size >= SIZE
    return size / 1e6 / (time.perf_counter() - start)


@contextmanager
def nginx(root: Path) -> Iterator[int]:
    """Serve the files below `root`; yield the port."""
    port, folder = free_port(), root / "nginx"
    folder.mkdir()
    paths = "".join(
        f"{name}_temp_path {folder};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; {user} events {{}} http {{ access_log off; {paths}"
        f"sendfile on; server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: _listens(port), what="nginx")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def expiring(jobs: int = 10_000) -> None:
    """A round that removes so many expired jobs; floor: their files alone are removed."""
    with stored(jobs) as (storage, database), stored(jobs) as (alone, _):
        with closing(db.connect(database)) as connection:
            house = Housekeeper(connection, storage, Clock(None, NOW, 0))
            ours = seconds(lambda: house.round(NOW, 0))
            assert connection.execute("SELECT COUNT(*) FROM job").fetchone()[0] == 0
        floor = seconds(lambda: remove_files(alone))
    report(f"expiry of {jobs:,} jobs", "s", "floor: removing their files", ours, floor)
    print(f"that is {ours / jobs * 1e3:.2g} ms a job", flush=True)


def sweeping(files: int = 100_000) -> None:
    """A sweep that finds nothing to remove; floor: listing the folders."""
    with stored(files // 2) as (storage, database), closing(db.connect(database)) as connection:

        def sweep() -> None:
            assert expiry.sweep_uploads(connection, storage.uploads) == 0
            assert expiry.sweep_outputs(connection, storage.outputs) == 0

        rounds = [(seconds(sweep), seconds(lambda: list_files(storage))) for _ in range(ROUNDS)]
    ours, floor = (min(side) for side in zip(*rounds, strict=True))
    report(f"sweep of {files:,} files", "s", "floor: listing them", ours, floor)


def seconds(action: Callable[[], None]) -> float:
    """Return how long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def remove_files(storage: Storage) -> None:
    """Remove every upload and every job's folder."""
    for path in storage.uploads.iterdir():
        path.unlink()
    for path in storage.outputs.iterdir():
        shutil.rmtree(path, ignore_errors=True)


def list_files(storage: Storage) -> None:
    """Look at every file once."""
    for folder in (storage.uploads, storage.outputs):
        for _, _, names in os.walk(folder):
            assert names or folder == storage.outputs


@contextmanager
def stored(count: int) -> Iterator[tuple[Storage, Path]]:
    """Make so many ended jobs, each with one source and one output, and their rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = Storage(folder / "uploads", folder / "outputs", 60, 0, 0)
        storage.uploads.mkdir()
        storage.outputs.mkdir()
        database = folder / "db.sqlite3"
        db.initialise(database)
        with closing(db.connect(database)) as connection:
            expiry.claim_folders(connection, storage)
            for number in range(count):
                (storage.uploads / f"{number}.mp4").touch()
                (storage.outputs / f"{number:022}").mkdir()
                (storage.outputs / f"{number:022}" / "out.mp4").touch()
            _insert(connection, count)
        yield storage, database


def _insert(connection: sqlite3.Connection, count: int) -> None:
    rows = [{"job": f"{n:022}", "file": f"{n}.mp4", "at": 1e9 + n} for n in range(count)]
    with db.transaction(connection):
        for query in (
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:job, 1, :at)",
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size, status,"
            " finished_at) VALUES (:file, :job, 0, 'a.mp4', :file, 1, 'completed', :at)",
            "INSERT INTO output (id, file_id, number, name, size, sha256, parameters, seconds,"
            " created_at) VALUES (:job, :file, 1, 'out.mp4', 1, '', '{}', 1, :at)",
        ):
            connection.executemany(query, rows)


ALL = (downloading, expiring, sweeping)
