"""What one PostgreSQL bears: the statements of many web hosts and workers, from many connections.

    python -m benchmarks.scale [--workers 50] [--jobs 500] [--files 10000] [--seconds 20]

First each statement alone, as fast as 1, 8 and 32 connections can. Then all of them together:
50 workers that poll, claim, renew and publish groups that "render" for 3 s (they sleep), each
standing for 20 workers with groups of 60 s, while pages poll, and clients upload. Server and
clients share this machine; the database syncs its log to disk (fsync).

Times are of whole transactions, as the caller sees them, in milliseconds.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import Any, NamedTuple

from benchmarks.load import cpu_seconds_with_children
from jobserver import db
from jobserver.db import Connection
from jobserver.ids import generate_id
from jobserver.jobs import glance, queries, queue, workers
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile
from jobserver.jobs.queue import NewOutput
from tests.postgres import Cluster
from tests.support import wait_for

LEASE_S = 30.0
GROUP = 5  # outputs that a claim publishes
VARIATIONS = 10_000  # of a file: as many as are published, none is ever the last
RENDER_S = 3.0
STANDS_FOR = 20  # workers whose groups take 60 s
RENEW_S = 5.0 / STANDS_FOR
THREADS_A_PROCESS = 5
POLLS_S, UPLOADS_S = 333.0, 2.0  # a second: 1,000 open pages; 7,200 uploads an hour
GOAL_MS = 5.0

Times = dict[str, list[float]]  # milliseconds, by statement


class Load(NamedTuple):
    """One thread's work: what it does again and again until the end."""

    work: Callable[["Caller"], None]
    every_s: float = 0.0  # from one beginning to the next; 0: at once


class Caller:
    """A thread with a connection of its own; keeps how long each of its statements took."""

    def __init__(self, url: str, job_ids: list[str], number: int) -> None:
        self.db, self.job_ids = db.connect(url), job_ids
        self.random, self.name = random.Random(number), f"host:{number}"
        self.times: Times = defaultdict(list)
        self.held: Claim | None = None
        self.renewed = 0

    def timed(self, name: str, action: Callable[[], Any]) -> Any:
        """Do it; keep how long it took."""
        start = time.perf_counter()
        result = action()
        self.times[name].append((time.perf_counter() - start) * 1000)
        return result


# -- the statements, as worker/ and web/ run them --------------------------------------------------


def look(caller: Caller) -> bool:
    """Ask whether there is work."""
    found: bool = caller.timed(
        "is there work", lambda: queue.has_claimable(caller.db, LEASE_S, caller.db.clock())
    )
    return found


def claim(caller: Caller) -> Claim | None:
    """Claim a file."""

    def action() -> Claim | None:
        with db.claiming(caller.db):
            return queue.claim(caller.db, caller.name, LEASE_S, caller.db.clock())

    found: Claim | None = caller.timed("claim", action)
    return found


def renew(caller: Caller) -> None:
    """Renew the lease of what is held, with a little progress."""
    if caller.held is None:
        caller.held = claim(caller)
        return
    caller.renewed += 1
    progress = caller.held.progress + caller.renewed / 1e6

    def action() -> bool:
        with db.claiming(caller.db):
            now = caller.db.clock()
            return queue.renew(caller.db, caller.held, progress, lease_s=LEASE_S, now=now)

    caller.timed("renew", action)


def publish(caller: Caller) -> None:
    """End the claim that is held with a group of outputs."""
    held, caller.held = caller.held, None
    assert held is not None
    outputs = [_output(held, number) for number in range(GROUP)]

    def action() -> None:
        caller.db.set_lock_timeout(30.0)  # as render_thread.LOCK_TIMEOUT_S
        with db.exclusive(caller.db, "publish"):
            now = caller.db.clock()
            if queue.release(caller.db, held, held.progress + GROUP / VARIATIONS, now):
                queue.insert_outputs(caller.db, held, outputs, now)

    caller.timed("publish a group", action)


def _output(held: Claim, number: int) -> NewOutput:
    made = held.claim_token * GROUP + number
    return NewOutput(
        *(generate_id(), made, f"clip_var{made}.mp4", 1_000_000, "ab" * 32, 1),
        parameters={"zoom": 1.01, "hue": 0.5, "speed": 1.0},
        seconds=1.0,
        thumbnail=f"clip_var{made}.webp",
        made_with="jobserver",
        place=f"outputs/{held.job_id}/{held.id}.{held.claim_token}/{made}.mp4",
    )


def beat(caller: Caller) -> None:
    """Say that a worker lives."""
    worker = workers.Worker(caller.name, caller.name, 1, 0.0, None)

    def action() -> None:
        with db.claiming(caller.db):
            workers.renew(caller.db, worker, caller.db.clock())

    caller.timed("worker's heartbeat", action)


def poll(caller: Caller) -> None:
    """Look at a job that a page asks for again."""
    job_id = caller.random.choice(caller.job_ids)
    caller.timed("status, unchanged", lambda: glance.glance(caller.db, job_id, caller.db.clock()))


def show(caller: Caller) -> None:
    """Read all of a job, for a page that shows it anew."""
    job_id = caller.random.choice(caller.job_ids)
    caller.timed("status, all rows", lambda: queries.job_state(caller.db, job_id))


def insert(caller: Caller) -> None:
    """Queue a job of two files."""
    draft = _draft(files=2)

    def action() -> None:
        with db.exclusive(caller.db, "quota"):
            queue.require_room(caller.db, 10**9, len(draft.files))
            queue.insert_job(caller.db, draft, caller.db.clock())

    caller.timed("insert a job", action)


def work(caller: Caller) -> None:
    """Do what a worker does around one group, which takes RENDER_S of sleep."""
    if not look(caller):
        return
    caller.held = claim(caller)
    if caller.held is None:
        return
    end = time.monotonic() + RENDER_S * caller.random.uniform(0.8, 1.2)
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(RENEW_S, left))
        renew(caller)
        beat(caller)
    publish(caller)


def claim_and_publish(caller: Caller) -> None:
    """Claim and publish without a pause."""
    caller.held = claim(caller)
    if caller.held is not None:
        publish(caller)


# -- running them ----------------------------------------------------------------------------------


def run(url: str, job_ids: list[str], loads: list[Load], seconds: float) -> Times:
    """Run each load in a thread, THREADS_A_PROCESS of them a process; return all their times."""
    context = multiprocessing.get_context("fork")
    groups = [loads[n : n + THREADS_A_PROCESS] for n in range(0, len(loads), THREADS_A_PROCESS)]
    results: SimpleQueue[Times] = context.SimpleQueue()
    barrier = context.Barrier(len(groups))
    arguments = (url, job_ids, seconds, barrier, results)
    processes = [
        context.Process(target=_run_process, args=(n, group, *arguments))
        for n, group in enumerate(groups)
    ]
    for process in processes:
        process.start()
    found: Times = defaultdict(list)
    for _ in processes:
        for name, times in results.get().items():
            found[name] += times
    for process in processes:
        process.join()
    return found


def _run_process(
    number: int, loads: list[Load], url: str, job_ids: list[str], seconds: float, barrier: Any,
    results: "SimpleQueue[Times]",
) -> None:  # fmt: skip
    callers = [Caller(url, job_ids, number * THREADS_A_PROCESS + n) for n in range(len(loads))]
    barrier.wait()
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_repeat, args=(load, caller, end))
        for load, caller in zip(loads, callers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together: Times = defaultdict(list)
    for caller in callers:
        for name, times in caller.times.items():
            together[name] += times
    results.put(dict(together))


def _repeat(load: Load, caller: Caller, end: float) -> None:
    due = time.monotonic() + load.every_s * caller.random.random()
    with closing(caller.db):
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            load.work(caller)
            due = max(due + load.every_s, time.monotonic() - 1.0)


def _draft(files: int) -> JobDraft:
    new = [NewFile(generate_id(), "clip.mp4", f"{generate_id()}.mp4", 1000) for _ in range(files)]
    return JobDraft(generate_id(), new, JobOptions(VARIATIONS, "subtle", 1))


def fill(connection: Connection, jobs: int, files: int) -> list[str]:
    """Queue so many files over so many jobs; return the jobs."""
    job_ids = []
    for _ in range(jobs):
        draft = _draft(files // jobs)
        with db.exclusive(connection, "quota"):
            queue.insert_job(connection, draft, connection.clock())
        job_ids.append(draft.id)
    connection.execute("ANALYZE")
    return job_ids


# -- what is printed -------------------------------------------------------------------------------


def percentiles(times: Iterable[float]) -> tuple[float, float, float]:
    """Return the median, and what 95 and 99 of 100 keep below."""
    found = statistics.quantiles(times, n=100, method="inclusive")
    return found[49], found[94], found[98]


def alone(cluster: Cluster, url: str, job_ids: list[str], seconds: float) -> Iterator[str]:
    """Yield a line for each statement: how many a second, by how many connections.

    And what one costs the server, which says more than times on a machine that others use too;
    of a claim and a publication together, since one needs the other.
    """
    yield "| alone | 1 connection | 8 | 32 | CPU of the server, ms each |"
    yield "|---|---|---|---|---|"
    for name, action in (
        ("is there work", look), ("claim", claim_and_publish), ("renew", renew),
        ("worker's heartbeat", beat), ("publish a group", claim_and_publish),
        ("status, unchanged", poll), ("status, all rows", show), ("insert a job", insert),
    ):  # fmt: skip
        cells, cpu = [], 0.0
        for count in (1, 8, 32):
            before = _server_seconds(cluster)
            times = run(url, job_ids, [Load(action)] * count, seconds)[name]
            cpu = (_server_seconds(cluster) - before) * 1000 / len(times)
            cells.append(f"{len(times) / seconds:,.0f}/s, {percentiles(times)[0]:.1f} ms")
        yield f"| {name} | {' | '.join(cells)} | {cpu:.2f} |"


def together(
    cluster: Cluster, url: str, job_ids: list[str], count: int, seconds: float
) -> Iterator[str]:
    """Yield a line for each statement while all run at once."""
    pages = 20
    loads = [
        *[Load(work)] * count,
        *[Load(poll, pages / POLLS_S)] * pages,
        *[Load(show, 5 * pages / POLLS_S)] * pages,
        Load(insert, 1 / UPLOADS_S),
    ]
    before = _server_seconds(cluster)
    found = run(url, job_ids, loads, seconds)
    yield f"| {count} workers, {len(job_ids)} jobs | a second | p50 | p95 | p99 ms | goal |"
    yield "|---|---|---|---|---|---|"
    for name, times in sorted(found.items()):
        p50, p95, p99 = percentiles(times)
        goal = ""
        if name in ("claim", "status, unchanged", "status, all rows"):
            goal = f"p50 at most {GOAL_MS:g}: {'met' if p50 <= GOAL_MS else 'missed'}"
        cells = f"{len(times) / seconds:,.1f} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {goal}"
        yield f"| {name} | {cells} |"
    share = (_server_seconds(cluster) - before) / seconds
    yield f"| CPU of the server: {share:.0%} of a core | | | | | |"


def _server_seconds(cluster: Cluster) -> float:
    """Return the CPU seconds of the server and of its sessions, which have ended."""
    assert cluster.process is not None
    query = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'jobserver'"
    wait_for(lambda: cluster.execute(query) == [(0,)], 20, "the end of the sessions")
    return cpu_seconds_with_children(cluster.process.pid)


def main() -> None:
    """Fill a database of its own, measure, print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of all together")
    parser.add_argument("--alone", type=float, default=3.0, help="seconds of each alone; 0: none")
    args = parser.parse_args()
    cluster = Cluster()
    try:
        url = cluster.start(fsync="on").create_initialised()
        with closing(db.connect(url)) as connection:
            job_ids = fill(connection, args.jobs, args.files)
        print(f"{args.files:,} files queued over {args.jobs:,} jobs", file=sys.stderr, flush=True)
        measures = [partial(together, cluster, url, job_ids, args.workers, args.seconds)]
        if args.alone:
            measures.append(partial(alone, cluster, url, job_ids, args.alone))
        for measure in measures:
            for line in measure():
                print(line, flush=True)
            print()
    finally:
        cluster.remove()


if __name__ == "__main__":
    main()
