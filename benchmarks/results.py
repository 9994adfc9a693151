"""What delivering and removing results costs, each beside its floor."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.load import MIB, cpu_seconds
from benchmarks.report import ROUNDS, report, running
from jobserver import db
from jobserver.files.local import LocalStore
from jobserver.jobs import ownership, sweep
from jobserver.jobs.quota import SpaceLimits
from jobserver.worker.maintenance import Housekeeper
from tests.nginx import Nginx
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


def zips_through_nginx() -> None:
    """MB/s of a ZIP through deploy/nginx.conf to curl; floor: nginx sends it from a file."""
    with running() as ours, nginx(ours.folder) as port, through_nginx(ours) as proxy:
        for count in (4, 200):
            job = make_job(ours, Clip(outputs=[os.urandom(SIZE // count)] * count))
            zipped = ours.folder / "job.zip"
            zipped.write_bytes(ours.get(job.download, ours.token).body)
            rates = [
                (
                    curl_rate(f"http://127.0.0.1:{proxy}{job.download}", ours.token),
                    curl_rate(f"http://127.0.0.1:{port}/job.zip", ours.token),
                )
                for _ in range(ROUNDS)
            ]
            best = [max(each) for each in zip(*rates, strict=True)]
            report(f"ZIP of {count} through nginx", "MB/s", "at least 0.9, floor: nginx", *best)


def curl_rate(url: str, token: str) -> float:
    """Download once with curl; return MB/s as it says."""
    command = ["curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", "-H"]
    done = subprocess.run(
        [*command, f"Authorization: Bearer {token}", url], capture_output=True, check=True
    )
    return float(done.stdout) / 1e6


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
    with stored(jobs) as folder, stored(jobs) as alone:
        with closing(db.connect(folder / "db.sqlite3")) as connection:
            limits = SpaceLimits(quota=0, min_free=0)
            house = Housekeeper(connection, store_in(folder), limits, lifetime_s=60)
            ours = seconds(lambda: house.round(NOW, 0))
            assert connection.value("SELECT COUNT(*) FROM job") == 0
        floor = seconds(lambda: remove_files(alone))
    report(f"expiry of {jobs:,} jobs", "s", "floor: removing their files", ours, floor)
    print(f"that is {ours / jobs * 1e3:.2g} ms a job", flush=True)


def sweeping(files: int = 100_000) -> None:
    """A sweep that finds nothing to remove; floor: listing the folders."""
    with (
        stored(files // 2) as folder,
        closing(db.connect(folder / "db.sqlite3")) as connection,
    ):
        store = store_in(folder)

        def sweep_all() -> None:
            assert sweep.sweep_uploads(connection, store) == 0
            assert sweep.sweep_outputs(connection, store) == 0
            assert sweep.forget_missing(connection, store, NOW) == 0

        rounds = [(seconds(sweep_all), seconds(lambda: list_files(folder))) for _ in range(ROUNDS)]
    ours, floor = (min(side) for side in zip(*rounds, strict=True))
    report(f"sweep of {files:,} files", "s", "floor: listing them", ours, floor)


def seconds(action: Callable[[], None]) -> float:
    """Return how long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def store_in(folder: Path) -> LocalStore:
    """Return the store that `stored` has filled."""
    return LocalStore(folder / "uploads", folder / "outputs", min_free_space=0)


def remove_files(folder: Path) -> None:
    """Remove every upload and every job's folder."""
    for path in (folder / "uploads").iterdir():
        path.unlink()
    for path in (folder / "outputs").iterdir():
        shutil.rmtree(path, ignore_errors=True)


def list_files(folder: Path) -> None:
    """Look at every file once."""
    for name in ("uploads", "outputs"):
        for _, _, names in os.walk(folder / name):
            assert names or name == "outputs"


@contextmanager
def stored(count: int) -> Iterator[Path]:
    """Make so many ended jobs in a folder, each with one source and one output; yield it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uploads, outputs = folder / "uploads", folder / "outputs"
        uploads.mkdir()
        outputs.mkdir()
        database = folder / "db.sqlite3"
        db.initialise(database)
        with closing(db.connect(database)) as connection:
            ownership.adopt_unowned(connection, store_in(folder))
            for number in range(count):
                (uploads / f"{number}.mp4").touch()
                (outputs / f"{number:022}").mkdir()
                (outputs / f"{number:022}" / "out.mp4").touch()
            _insert(connection, count)
        yield folder


def _insert(connection: db.Connection, count: int) -> None:
    rows = [{"job": f"{n:022}", "file": f"{n}.mp4", "at": 1e9 + n} for n in range(count)]
    with db.exclusive(connection, "queue"):
        for query in (
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:job, 1, :at)",
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size, status,"
            " finished_at) VALUES (:file, :job, 0, 'a.mp4', :file, 1, 'completed', :at)",
            "INSERT INTO output (id, file_id, number, name, size, sha256, parameters, seconds,"
            " created_at) VALUES (:job, :file, 1, 'out.mp4', 1, '', '{}', 1, :at)",
        ):
            connection.write_many(query, rows)


ALL = (downloading, zips_through_nginx, expiring, sweeping)
