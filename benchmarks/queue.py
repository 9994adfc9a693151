"""What a long queue costs: claims, status calls and uploads, beside a short or an empty one."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from benchmarks.load import requests_per_second
from benchmarks.report import Row, at_most, in_turns
from benchmarks.servers import running, running_worker
from jobserver import db
from jobserver.ids import generate_id
from jobserver.jobs import queries, queue
from jobserver.jobs.model import JobDraft, JobOptions, NewFile
from tests.support import MP4_HEAD, Server, file_part, form

FEW, MANY = 100, 100_000
FILES_PER_JOB = 10
BROKEN = 20_000


def long_queue() -> Iterator[Row]:
    """A claim, the SQL of a status and the whole call, with 100,000 files queued beside 100."""
    with running() as many, running() as few:
        newest = {server: insert_waiting(server, count) for server, count in
                  ((many, MANY), (few, FEW))}  # fmt: skip
        with closing(db.connect(many.database)) as long, closing(db.connect(few.database)) as short:
            for what, unit, action in (
                ("claim and release", "ms", claim_and_release),
                ("is there work", "ms", lambda database, _job_id: queue.has_claimable(
                    database, 30, time.time())),
                ("SQL of a status", "ms", queries.job_state),
            ):  # fmt: skip
                mine, other = in_turns(
                    median_ms(action, long, newest[many]), median_ms(action, short, newest[few])
                )
                yield Row(f"{what}, {MANY:,} queued", unit, mine, other, f"{FEW}", at_most(1.3))

        def status_ms(server: Server) -> Callable[[], float]:
            path = f"/api/jobs/{newest[server]}"
            return lambda: 1000 / requests_per_second(server, path, seconds=2)

        mine, other = in_turns(status_ms(many), status_ms(few))
        yield Row(f"status call, {MANY:,} queued", "ms", mine, other, f"{FEW}", at_most(1.3))


def insert_waiting(server: Server, count: int, files_per_job: int = FILES_PER_JOB) -> str:
    """Queue so many files in one transaction; return the id of the newest job."""
    job_id = ""
    with closing(db.connect(server.database)) as database, db.exclusive(database, "quota"):
        for number in range(count // files_per_job):
            job_id = generate_id()
            files = [NewFile(generate_id(), "clip.mp4", f"{generate_id()}.mp4", 1000)
                     for _ in range(files_per_job)]  # fmt: skip
            draft = JobDraft(job_id, files, JobOptions(5, "subtle", number))
            queue.insert_job(database, draft, time.time())
    return job_id


def claim_and_release(database: db.Connection, _job_id: str) -> None:
    """Do what a worker does around one group, but for the rendering."""
    with db.claiming(database):
        claim = queue.claim(database, "benchmark", 30, time.time())
    assert claim is not None
    with db.claiming(database):
        assert queue.release(database, claim, 0.2, time.time())


def median_ms(
    action: Callable[[db.Connection, str], object], database: db.Connection, job_id: str
) -> Callable[[], float]:
    """Return a measure: the median of a hundred calls."""

    def measure() -> float:
        times = []
        for _ in range(100):
            start = time.perf_counter()
            action(database, job_id)
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1000

    return measure


def uploads_while_a_worker_drains(rounds: int = 3, uploads: int = 400) -> Iterator[Row]:
    """The slowest uploads while a worker gives up 20,000 broken files, beside none queued."""
    with running() as ours:

        def p99() -> float:
            return statistics.quantiles([upload_ms(ours) for _ in range(uploads)], n=100)[98]

        def drained() -> float:
            insert_broken(ours, BROKEN)
            with running_worker(ours):
                found = p99()
                assert waiting(ours), "the worker has ended before the uploads"
            return found

        def quiet() -> float:
            cancel_all(ours)
            return p99()

        mine, other = in_turns(drained, quiet, rounds=rounds)
    what = f"p99 of an upload while a worker drains {BROKEN:,} files"
    yield Row(what, "ms", mine, other, "no worker", at_most(1.5))


def upload_ms(server: Server) -> float:
    """Upload a small file; return how long it took."""
    body = form(file_part(MP4_HEAD + bytes(1000), "a.mp4"))
    start = time.perf_counter()
    assert server.post(body).status == 202
    return (time.perf_counter() - start) * 1000


def insert_broken(server: Server, count: int) -> None:
    """Queue so many files that hold no video."""
    insert_waiting(server, count)
    for (name,) in server.rows("SELECT stored_name FROM job_file WHERE status = 'queued'"):
        path = server.upload_dir / name
        if not path.exists():
            path.write_bytes(MP4_HEAD)


def waiting(server: Server) -> int:
    """Return how many files are queued."""
    return len(server.rows("SELECT 1 FROM job_file WHERE status = 'queued'"))


def cancel_all(server: Server) -> None:
    """Cancel what waits, so that no worker has anything to do."""
    query = "SELECT DISTINCT job_id FROM job_file WHERE status IN ('queued', 'processing')"
    with closing(db.connect(server.database)) as database, db.exclusive(database, "queue"):
        for (job_id,) in server.rows(query):
            queue.cancel(database, job_id, time.time())


ALL = (long_queue, uploads_while_a_worker_drains)
