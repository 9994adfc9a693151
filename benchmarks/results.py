"""What delivering and removing results costs, each beside its floor."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.load import MIB
from benchmarks.report import Row, at_least, in_turns
from benchmarks.servers import nginx, running, through_nginx
from jobserver import db
from jobserver.files.local import LocalStore
from jobserver.jobs import ownership, sweep
from jobserver.jobs.quota import SpaceLimits
from jobserver.worker.maintenance import Housekeeper
from tests.results import Clip, Job, make_job
from tests.support import Server

SIZE = 256 * MIB
NOW = 2e9


def downloading() -> Iterator[Row]:
    """One output and a ZIP to one client, beside nginx that sends the same bytes from a file."""
    with running() as ours, nginx(ours.folder) as (port, _):
        single = make_job(ours, Clip(outputs=[os.urandom(MIB) * (SIZE // MIB)]))
        yield from compare("one output", ours, single.output(), port, single.paths[0])
        for count in (4, 200):
            job = make_job(ours, Clip(outputs=[os.urandom(SIZE // count)] * count))
            yield from compare(f"ZIP of {count}", ours, job.download, port, zipped(ours, job))


def compare(what: str, ours: Server, path: str, port: int, file: Path) -> Iterator[Row]:
    """Yield the rates, and the CPU of the processes that send."""
    mine, other = in_turns(
        lambda: megabytes_per_second(ours.port, path, ours.token),
        lambda: megabytes_per_second(port, f"/{file.relative_to(ours.folder)}", ""),
    )
    yield Row(f"download of {what}", "MB/s", mine, other, "nginx, from a file")


def zips_through_nginx() -> Iterator[Row]:
    """A ZIP through deploy/nginx.conf to curl, beside nginx that sends it from a file."""
    with running() as ours, nginx(ours.folder) as (port, _), through_nginx(ours) as proxy:
        for count in (4, 200):
            job = make_job(ours, Clip(outputs=[os.urandom(SIZE // count)] * count))
            file = zipped(ours, job).name
            mine, other = in_turns(
                partial(curl_rate, f"http://127.0.0.1:{proxy}{job.download}", ours.token),
                partial(curl_rate, f"http://127.0.0.1:{port}/{file}", ours.token),
            )
            what = f"ZIP of {count} through nginx"
            yield Row(what, "MB/s", mine, other, "nginx, from a file", at_least(0.9))


def zipped(server: Server, job: Job) -> Path:
    """Keep the ZIP of a job as a file in the server's folder."""
    path = server.folder / "job.zip"
    path.write_bytes(server.get(job.download, server.token).body)
    return path


def curl_rate(url: str, token: str) -> float:
    """Download once with curl; return MB/s as it says."""
    command = ["curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", "-H"]
    done = subprocess.run(
        [*command, f"Authorization: Bearer {token}", url], capture_output=True, check=True
    )
    return float(done.stdout) / 1e6


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


def expiring(jobs: int = 10_000) -> Iterator[Row]:
    """A round that removes so many expired jobs, beside removing their files alone."""
    mine, other = in_turns(partial(expire, jobs), partial(remove_alone, jobs), rounds=3)
    yield Row(f"expiry of {jobs:,} jobs", "s", mine, other, "removing their files")


def expire(jobs: int) -> float:
    """Return how long a round of the housekeeper takes that removes so many jobs."""
    with stored(jobs) as folder, closing(db.connect(folder / "db.sqlite3")) as connection:
        limits = SpaceLimits(quota=0, min_free=0)
        house = Housekeeper(connection, store_in(folder), limits, lifetime_s=60, audit_s=60)
        taken = seconds(lambda: house.round(NOW, 0))
        assert connection.value("SELECT COUNT(*) FROM job") == 0
    return taken


def remove_alone(jobs: int) -> float:
    """Return how long removing the files of so many jobs takes."""
    with stored(jobs) as folder:
        return seconds(lambda: remove_files(folder))


def sweeping(files: int = 100_000) -> Iterator[Row]:
    """A sweep that finds nothing to remove, beside listing the folders."""
    with (
        stored(files // 2) as folder,
        closing(db.connect(folder / "db.sqlite3")) as connection,
    ):
        store = store_in(folder)

        def sweep_all() -> None:
            assert sweep.sweep_uploads(connection, store) == 0
            assert sweep.sweep_outputs(connection, store) == 0

        mine, other = in_turns(
            lambda: seconds(sweep_all), lambda: seconds(lambda: list_files(folder))
        )
    yield Row(f"sweep of {files:,} files", "s", mine, other, "listing them")


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
    rows = [
        {"job": f"{n:022}", "file": f"{n}.mp4", "at": 1e9 + n, "place": n} for n in range(count)
    ]
    with db.exclusive(connection, "queue"):
        for query in (
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:job, 1, :at)",
            "INSERT INTO job_standing (job_id, place, created_at, turn, files, work)"
            " VALUES (:job, :place, :at, :at, 0, 0)",
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size, status,"
            " finished_at) VALUES (:file, :job, 0, 'a.mp4', :file, 1, 'completed', :at)",
            "INSERT INTO output (id, file_id, number, name, size, sha256, parameters, seconds,"
            " created_at) VALUES (:job, :file, 1, 'out.mp4', 1, '', '{}', 1, :at)",
        ):
            connection.write_many(query, rows)


ALL = (downloading, zips_through_nginx, expiring, sweeping)
