"""What must hold once all is calm: each promise kept, nothing left over, nothing grows."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from jobserver import db
from jobserver.jobs import standing, sweep
from tests.soak.clients import Clients
from tests.soak.faults import Machine
from tests.support import Server, processes_naming, wait_for

ENDS_S = 300.0
GROWTH = 24 * 1024 * 1024  # bytes of memory that a process may grow by in steady()
STEADY = 400  # requests
OVER = ("completed", "failed", "cancelled")
GAVE_UP = "This video could not be rendered"  # three kills, as promised


def wait_for_ends(machine: Machine) -> None:
    unfinished = "SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing')"
    wait_for(
        lambda: machine.server.rows(unfinished) == [(0,)], ENDS_S, machine.worker.log()[-3000:]
    )


def wrong(machine: Machine, clients: Clients) -> Iterator[str]:
    """Yield a sentence for each thing that is not as promised; server and worker have stopped."""
    rows = machine.server.rows
    states = dict(rows("SELECT id, status FROM job_summary WHERE removed_at IS NULL"))
    evicted = {job_id for (job_id,) in rows("SELECT id FROM expired_job")}
    for job_id in clients.promises.keys() - clients.deleted - evicted:
        if states.get(job_id) not in OVER:
            yield f"job {job_id} was promised and is {states.get(job_id)}"
    for file_id, error in rows("SELECT id, error FROM job_file WHERE status = 'failed'"):
        if GAVE_UP not in str(error):
            yield f"file {file_id} failed: {error}"
    yield from _wrong_files(machine, clients)
    if rows("PRAGMA integrity_check") != [("ok",)]:
        yield "the database is damaged"
    for name, log in (("server", machine.server.log()), ("worker", machine.worker.log())):
        if "Traceback" in log:
            yield f"a traceback of the {name}: {log[log.index('Traceback') :][:1500]}"
    for answer, count in clients.answers.items():
        if answer.endswith((" 500", " 400", " 405")):
            yield f"{count} times {answer}"
    yield from clients.wrong
    if left := processes_naming(machine.disk):
        yield f"processes are left: {left}"


def _wrong_files(machine: Machine, clients: Clients) -> Iterator[str]:
    server = machine.server
    query = "SELECT job_id, stored_name FROM job_file ORDER BY job_id, position"
    sums: dict[str, list[str]] = {}
    for job_id, name in server.rows(query):
        sums.setdefault(job_id, []).append(_sha256(server.upload_dir / name))
    for job_id, sent in clients.promises.items():
        if job_id in sums and sums[job_id] != sent:
            yield f"the files of {job_id} are not those that were sent"
    outputs = Path(server.settings["OUTPUT_DIR"])
    query = """
        SELECT COALESCE(SUBSTR(place, 9), job_id || '/' || output.name), output.sha256
        FROM output JOIN job_file ON job_file.id = file_id"""
    for path, sha256 in server.rows(query):
        if _sha256(outputs / path) != sha256:
            yield f"{path} is not what its row says"
    with closing(db.connect(server.database)) as database:
        listed = {
            f"{job_id}/{name}"
            for job_id, names in sweep.listed_names(database).items()
            for name in names
        }
        if mended := standing.mend(database):
            yield f"where {mended} jobs stand is wrong"
    found = {str(path.relative_to(outputs)) for path in outputs.glob("*/**/*") if path.is_file()}
    yield from (f"{path} belongs to nobody" for path in found - listed)
    yield from (f"{path} is listed and missing" for path in listed - found)
    named = {name for (name,) in server.rows("SELECT stored_name FROM job_file")}
    yield from (f"upload {name} belongs to nobody" for name in server.uploads().keys() - named)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"


def steady(server: Server, clip: bytes) -> Iterator[str]:
    """Yield a sentence for each process that grows under load without faults."""

    def work() -> None:
        for number in range(STEADY):
            if number % 20:
                server.get("/api/jobs", server.token)
            else:
                server.upload(clip, variations="1")

    work()  # caches fill, threads and their connections are made
    memory, descriptors = {pid: _memory(pid) for pid in server.workers()}, server.descriptors()
    work()
    for pid, before in memory.items():
        if _memory(pid) - before > GROWTH:
            yield f"process {pid} grew from {before:,} to {_memory(pid):,} bytes"
    try:
        wait_for(
            lambda: all(now <= descriptors[pid] for pid, now in server.descriptors().items()), 20
        )
    except AssertionError:
        yield f"descriptors grew from {descriptors} to {server.descriptors()}"


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
