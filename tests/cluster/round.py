"""One round: hosts, clients, faults one after the other, then peace, and what must hold."""

import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from jobserver.db import initialise
from tests.cluster.checks import Checks, Found
from tests.cluster.clients import Clients, wait_until_completed
from tests.cluster.faults import (
    BALANCER,
    DATABASE,
    STORE,
    WEBS,
    WORKERS,
    Fault,
    Site,
    choose,
    faults,
)
from tests.cluster.network import Network, inside, network
from tests.cluster.roles import Balancer, Bucket, Database, Host, Jobserver, Web, Worker
from tests.support import make_clip, wait_for

CLIENT = "client"
HOSTS = (CLIENT, DATABASE, STORE, BALANCER, *WEBS, *WORKERS)
QUIET_S = (0.3, 2.5)  # between two faults
PEACE_S = 180.0  # within which all that was promised must be completed


class Plan(NamedTuple):
    """What a round does. render: `sleep` or `ffmpeg`."""

    seed: int
    count: int
    render: str = "sleep"
    longest_store_outage_s: float = 25.0


class Report(NamedTuple):
    """What came of it. happened: the faults, in their sequence; missed: that reached no step."""

    plan: Plan
    happened: list[str]
    missed: list[str]
    answers: dict[str, int]
    seconds_to_peace: float
    found: Found


@contextmanager
def supervising(hosts: dict[str, Host]) -> Iterator[None]:
    """Start what has ended again, unless a fault wants it down."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            for host in hosts.values():
                host.supervise()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def cluster(folder: Path, net: Network, render: str) -> Iterator[tuple[dict[str, Host], Jobserver]]:
    """Start all roles; everything on the hosts is killed at the end."""
    database, bucket = Database(net[DATABASE]), Bucket(folder / STORE, net[STORE])
    site = Jobserver(folder, database, bucket)
    hosts = {
        DATABASE: Host(net, DATABASE, database),
        STORE: Host(net, STORE, bucket),
        **{name: Host(net, name, Web(site, net[name])) for name in WEBS},
        **{name: Host(net, name, Worker(site, name, render)) for name in WORKERS},
    }
    balancer = Balancer(folder / BALANCER, net[BALANCER], [net[name] for name in WEBS])
    hosts[BALANCER] = Host(net, BALANCER, balancer)
    try:
        for name in (DATABASE, STORE):
            hosts[name].start()
        wait_for(database.answers, 30, "PostgreSQL")
        wait_for(bucket.gateway.answers, 30, "the store")
        bucket.gateway.make_bucket()
        initialise(database.local_url)
        for name in (*WEBS, *WORKERS, BALANCER):
            hosts[name].start()
        yield hosts, site
    finally:
        for host in hosts.values():
            host.signal(signal.SIGCONT)
            host.kill()
        database.remove()


def run(plan: Plan) -> Report:
    """Do a round in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="jobserver-cluster-") as name,
        network(HOSTS) as net,
        inside(net.namespace(CLIENT)),
        cluster(Path(name), net, plan.render) as (hosts, site),
    ):
        clips = _clips(Path(name)) if plan.render == "ffmpeg" else []
        clients = Clients((net[BALANCER], hosts[BALANCER].runs.port), plan.seed, clips)
        wait_for(lambda: _is_served(clients), 60, f"a server: {hosts[WEBS[0]].log()[-2000:]}")
        with supervising(hosts):
            clients.start()
            try:
                happened, missed = _inject(plan, Site(net, hosts))
            finally:
                clients.stop()
            start = time.monotonic()
            wait_until_completed(clients, PEACE_S)
            _wait_for_unpromised(site)
            seconds = time.monotonic() - start
        checks = Checks(site, asleep=plan.render == "sleep")
        found = checks.run(clients.promises.values(), sum("worker" in name for name in happened))
        found.wrong.extend(_wrong_answers(clients, hosts))
    return Report(plan, happened, missed, dict(clients.answers), seconds, found)


def _clips(folder: Path) -> list[bytes]:
    made = [make_clip(folder / f"{n}.mp4", n, sound=n == 1) for n in (0.4, 1)]
    return [path.read_bytes() for path in made]


def _is_served(clients: Clients) -> bool:
    time.sleep(0.2)
    return clients._request("GET", "/api/jobs", what="start")[0] == 200


def _inject(plan: Plan, site: Site) -> tuple[list[str], list[str]]:
    draw = random.Random(plan.seed)
    kinds = faults(plan.longest_store_outage_s)
    happened, missed = [], []
    for fault in choose(kinds, draw, plan.count):
        time.sleep(draw.uniform(*QUIET_S))
        (happened if _happens(fault, site, draw) else missed).append(fault.name)
    return happened, missed


def _happens(fault: Fault, site: Site, draw: random.Random) -> bool:
    return fault.happen(site, random.Random(draw.random()))


def _wait_for_unpromised(site: Jobserver) -> None:
    """Also jobs whose 202 was lost on its way end."""
    unfinished = "SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing')"
    with suppress(AssertionError):  # then the checks say what is left
        wait_for(lambda: site.database.rows(unfinished) == [(0,)], PEACE_S)


def _wrong_answers(clients: Clients, hosts: dict[str, Host]) -> Iterator[str]:
    """A fault is a 502, 503 or 504, or no answer; never an error of our own."""
    for answer, count in clients.answers.items():
        if answer.endswith((" 500", " 404", " 400", " 401", " 410", " 429")):
            yield f"{count} times {answer}"
    for name, host in hosts.items():
        if "Traceback" in host.log():
            at = host.log().index("Traceback")
            yield f"{name} has a traceback: {host.log()[at:][:1500]}"
