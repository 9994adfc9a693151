"""What telling costs: status calls by wrk, beside a bare Flask view under the same gunicorn."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from benchmarks.load import get, latencies, rate_and_cpu, requests_per_second
from benchmarks.report import ROUNDS, Goal, Row, at_least, at_most, in_turns
from benchmarks.servers import running
from jobserver import db
from tests.results import Clip, make_job
from tests.support import MP4_HEAD, Server

VIEW = "a bare Flask view"


def status() -> Iterator[Row]:
    """The status of a waiting job of two files, of one of 200 outputs, and their 304."""
    with running() as ours, running("benchmarks.floor:constant", token_of=ours) as floor:
        waiting = ours.upload(MP4_HEAD, MP4_HEAD).json["statusUrl"]
        full = make_job(ours, *[Clip(outputs=[b"x"] * 20)] * 10).url
        yield from beside_a_view("status of two waiting files", ours, floor, waiting, at_least(0.8))
        yield from unchanged("its 304", ours, floor, waiting, at_least(0.9))
        yield from unchanged("304 of a job of 200 outputs", ours, floor, full, at_least(0.85))
        yield from beside_a_view("health", ours, floor, "/api/health", None)


def beside_a_view(
    what: str, ours: Server, floor: Server, path: str, goal: Goal | None, **headers: str
) -> Iterator[Row]:
    """Yield the rate of a path, and its CPU in the web workers."""
    rounds = [
        (rate_and_cpu(ours, path, **headers), rate_and_cpu(floor, path)) for _ in range(ROUNDS)
    ]
    mine, others = zip(*rounds, strict=True)
    for unit, of, bound in (("calls/s", 0, goal), ("us of CPU", 1, None)):
        yield Row(what, unit, [each[of] for each in mine], [each[of] for each in others],
                  VIEW, bound)  # fmt: skip


def unchanged(what: str, ours: Server, floor: Server, path: str, goal: Goal) -> Iterator[Row]:
    """Yield the rate and CPU of the answers to somebody who has seen the body."""
    tag = ours.get(path, ours.token).headers["ETag"]
    assert ours.get(path, ours.token, If_None_Match=tag).status == 304
    yield from beside_a_view(what, ours, floor, path, goal, If_None_Match=tag)
    assert ours.get(path, ours.token, If_None_Match=tag).status == 304


def large_status() -> Iterator[Row]:
    """The status of a job with 200 outputs and 411 signed links, beside one that waits."""
    with running() as ours:
        large = make_job(ours, *[Clip(outputs=[b"x"] * 20)] * 10).url
        small = ours.upload(MP4_HEAD).json["statusUrl"]

        def milliseconds(path: str) -> float:
            return 1000 / requests_per_second(ours, path, seconds=2)

        mine, other = in_turns(lambda: milliseconds(large), lambda: milliseconds(small))
        yield Row("status of 200 outputs", "ms", mine, other, "of none", at_most(3))


def keys() -> Iterator[Row]:
    """The CPU of a status call by a key, and of its 304, beside those by a session's token."""
    with running() as server:
        url = server.upload(MP4_HEAD, MP4_HEAD).json["statusUrl"]
        tag = server.get(url, server.token).headers["ETag"]
        headers = {"Content-Type": "application/json", **server.bearer(server.token)}
        sent = '{"name": "benchmark", "scopes": ["read"]}'
        key = server.request("POST", "/api/keys", sent, headers).json["key"]

        def microseconds(token: str, **more: str) -> float:
            authorization = f"Bearer {token}"
            return rate_and_cpu(server, url, Authorization=authorization, **more)[1]

        for what, more in (("status", {}), ("304", {"If_None_Match": tag})):
            mine, other = in_turns(
                partial(microseconds, key, **more), partial(microseconds, server.token, **more)
            )
            yield Row(f"{what} by a key", "us of CPU", mine, other, "by a token", at_most(1.03))


def listing() -> Iterator[Row]:
    """GET /api/jobs with 100,000 jobs, beside 100."""
    with running() as many, running() as few:
        insert_jobs(many, 100_000)
        insert_jobs(few, 100)

        def milliseconds(server: Server) -> float:
            times = latencies(server.port, get(server, "/api/jobs"), go_on=for_seconds(1))
            return statistics.median(times) * 1000

        mine, other = in_turns(lambda: milliseconds(many), lambda: milliseconds(few))
        yield Row("list of 100,000 jobs", "ms", mine, other, "of 100", at_most(1.5))


def insert_jobs(server: Server, count: int) -> None:
    """Fill the database with ended jobs of two files in one transaction."""
    jobs = [{"id": f"job{n:019}", "at": 1e9 + n} for n in range(count)]
    files = [{"id": f"file{n}", "job": f"job{n // 2:019}", "at": n % 2} for n in range(2 * count)]
    with closing(db.connect(server.database)) as database, db.exclusive(database, "quota"):
        database.write_many(
            "INSERT INTO job (id, variations_per_video, created_at) VALUES (:id, 5, :at)", jobs
        )
        database.write_many(
            "INSERT INTO job_file (id, job_id, position, name, stored_name, size, status,"
            " finished_at) VALUES (:id, :job, :at, 'clip.mp4', :id, 1, 'failed', 1e9)",
            files,
        )


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return a condition that is true for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


ALL = (status, keys, large_status, listing)
