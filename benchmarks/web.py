"""What receiving, telling and listing cost, each beside its floor."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks.load import (
    MIB,
    cpu_seconds,
    get,
    latencies,
    memory,
    requests_per_second,
    send_upload,
)
from benchmarks.report import ROUNDS, best_of_each, report, running
from jobserver import db
from tests.results import Clip, make_job
from tests.support import MP4_HEAD, Server

FILE_SIZE = 500 * MIB


def receiving() -> None:
    """CPU of the web workers to receive; floor: wsgi.input copied to a file by 1 MiB."""

    def per_gb(server: Server) -> float:
        before = cpu_seconds(server)
        assert b" 20" in send_upload(server, FILE_SIZE)[:12]
        for path in server.uploads().values():
            path.unlink()
        return (cpu_seconds(server) - before) / FILE_SIZE * 1e9

    with running() as ours, running("benchmarks.floor:copy", token_of=ours) as floor:
        report("CPU to receive", "s/GB", "at most 1.4", *best_of_each(per_gb, ours, floor, min))


def status() -> None:
    """Status calls by rate and by CPU; floor: a Flask view that returns a constant."""
    with running() as ours, running("benchmarks.floor:constant", token_of=ours) as floor:
        path = ours.upload(MP4_HEAD).json["statusUrl"]

        def rate_and_cpu(server: Server) -> tuple[float, float]:
            before = cpu_seconds(server)
            rate = requests_per_second(server.port, get(server, path), seconds=3)
            return rate, (cpu_seconds(server) - before) / (rate * 3) * 1e6

        rounds = [(rate_and_cpu(ours), rate_and_cpu(floor)) for _ in range(5)]
    rates = [max(side[0] for side in sides) for sides in zip(*rounds, strict=True)]
    cpus = [min(side[1] for side in sides) for sides in zip(*rounds, strict=True)]
    report("status calls", "1/s", "at least 0.65", *rates)
    report("CPU of a status call", "us", "without what the clients use", *cpus)


def large_status() -> None:
    """The status of a job with 200 outputs and 411 signed links; floor: of one that waits."""
    with running() as ours:
        large = make_job(ours, *[Clip(outputs=[b"x"] * 20)] * 10).url
        small = ours.upload(MP4_HEAD).json["statusUrl"]

        def median_ms(path: str) -> float:
            times = latencies(ours.port, get(ours, path), go_on=for_seconds(1))
            return statistics.median(times) * 1000

        rounds = [(median_ms(large), median_ms(small)) for _ in range(ROUNDS)]
    best = [min(side) for side in zip(*rounds, strict=True)]
    report("status of 200 outputs", "ms", "floor: of none", *best)


def peak_memory(uploads: int = 8) -> None:
    """Memory of one web worker above idle while it receives many files at once."""
    with running(worker_count=1) as ours:
        send_upload(ours, MIB)
        [worker] = ours.workers()
        idle = memory(worker)[0]
        with ThreadPoolExecutor(uploads) as pool:
            answers = list(pool.map(lambda _: send_upload(ours, FILE_SIZE), range(uploads)))
        assert all(b" 202 " in answer[:20] for answer in answers), answers
        peak = memory(worker)[1]
    print(
        f"memory with {uploads} uploads at once: {(peak - idle) / MIB:.0f} MiB above idle"
        f" ({idle / MIB:.0f} MiB); limit: 64 MiB above",
        flush=True,
    )


def status_during_uploads(uploads: int = 4) -> None:
    """The slowest status calls while uploads run; floor: while nothing runs."""
    with running() as ours, ThreadPoolExecutor(uploads) as pool:
        request = get(ours, ours.upload(MP4_HEAD).json["statusUrl"])
        quiet = latencies(ours.port, request, go_on=for_seconds(5))
        sent = [pool.submit(send_upload, ours, FILE_SIZE) for _ in range(uploads)]
        busy = latencies(ours.port, request, lambda: not all(each.done() for each in sent))
        assert all(b" 202 " in each.result()[:20] for each in sent)
    report(
        f"p99 of status during {uploads} uploads",
        "ms",
        "floor: no uploads",
        p99_ms(busy),
        p99_ms(quiet),
    )


def listing() -> None:
    """GET /api/jobs with 100,000 jobs; floor: with 100."""
    with running() as many, running() as few:
        insert_jobs(many, 100_000)
        insert_jobs(few, 100)

        def median_ms(server: Server) -> float:
            times = latencies(server.port, get(server, "/api/jobs"), go_on=for_seconds(1))
            return statistics.median(times) * 1000

        report(
            "list of 100,000 jobs",
            "ms",
            "at most 1.5, floor: 100 jobs",
            *best_of_each(median_ms, many, few, min),
        )


def insert_jobs(server: Server, count: int) -> None:
    """Fill the database with jobs of two files in one transaction."""
    jobs = [{"id": f"job{n:019}", "at": 1e9 + n} for n in range(count)]
    files = [{"id": f"file{n}", "job": f"job{n // 2:019}", "at": n % 2} for n in range(2 * count)]
    with closing(db.connect(server.database)) as database, db.exclusive(database, "quota"):
        database.write_many(
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 5, :at)", jobs
        )
        database.write_many(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size)"
            " VALUES (:id, :job, :at, 'clip.mp4', :id, 1)",
            files,
        )


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return a condition that is true for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def p99_ms(times: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return statistics.quantiles(times, n=100)[98] * 1000


ALL = (receiving, peak_memory, status, large_status, status_during_uploads, listing)
