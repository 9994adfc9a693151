"""What is done to hosts while jobs run. Which, to whom and for how long, a seed decides."""

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from tests.cluster import armed
from tests.cluster.network import Network
from tests.cluster.roles import Host

WEBS, WORKERS = ("web1", "web2"), ("worker1", "worker2", "worker3")
DATABASE, STORE, BALANCER = "database", "store", "balancer"
REACHED_WITHIN_S = 20.0  # else nothing came to the step
STOPPED_S = (7.0, 13.0)  # longer than a lease; now and then than an idle transaction may be


class Site(NamedTuple):
    """What faults may touch."""

    network: Network
    hosts: Mapping[str, Host]


class Fault(NamedTuple):
    """A kind of fault. weight: how often it is chosen; happen: False when nothing came of it."""

    name: str
    weight: float
    happen: Callable[[Site, random.Random], bool]


def at_step(
    names: tuple[str, ...], step: str, action: str, site: Site, draw: random.Random
) -> bool:
    """Kill or stop a process at a step; a stopped one goes on later."""
    host = site.hosts[draw.choice(names)]
    armed.arm(host.fault_path, step, action)
    end = time.monotonic() + REACHED_WITHIN_S
    while host.fault_path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    if armed.disarm(host.fault_path):
        return False
    if action == "STOP":
        time.sleep(draw.uniform(*STOPPED_S))
        host.thaw()
    elif draw.random() < 0.5:
        host.kill()  # the others on this host as well, as when its power fails
    return True


def killed(names: tuple[str, ...], site: Site, draw: random.Random) -> bool:
    """Kill all of a host; its supervisor starts it again."""
    site.hosts[draw.choice(names)].kill()
    return True


def away(names: tuple[str, ...], seconds: float, site: Site, draw: random.Random) -> bool:
    """Kill all of a host, and leave it down for a while."""
    host = site.hosts[draw.choice(names)]
    host.down = True
    try:
        host.kill()
        time.sleep(seconds)
    finally:
        host.down = False
    return True


def frozen(names: tuple[str, ...], site: Site, draw: random.Random) -> bool:
    """Stop all of a host, and let it go on later."""
    host = site.hosts[draw.choice(names)]
    host.freeze()
    try:
        time.sleep(draw.uniform(*STOPPED_S))
    finally:
        host.thaw()
    return True


def cut(names: tuple[str, ...], site: Site, draw: random.Random) -> bool:
    """Let nothing through to or from a host, and say nothing about it."""
    name = draw.choice(names)
    site.network.cut(name)
    try:
        time.sleep(draw.choice((2.0, 8.0, 14.0)))
    finally:
        site.network.mend(name)
    return True


def _steps(names: tuple[str, ...], what: str, steps: tuple[str, ...]) -> list[Fault]:
    return [
        Fault(f"{what} {action} at `{step}`", 2 / len(steps), partial(at_step, names, step, action))
        for step in steps
        for action in ("KILL", "STOP")
    ]


def faults(longest_store_outage_s: float) -> list[Fault]:
    """Return all kinds. longest_store_outage_s: 75 s and 300 s take their time."""
    outages = [seconds for seconds in (4.0, 25.0, 75.0, 300.0) if seconds <= longest_store_outage_s]
    return [
        *_steps(WORKERS, "worker", armed.WORKER_STEPS),
        *_steps(WEBS, "web", armed.WEB_STEPS),
        Fault("worker host killed", 1, partial(killed, WORKERS)),
        Fault("web host killed", 1, partial(killed, WEBS)),
        Fault("balancer killed", 0.5, partial(killed, (BALANCER,))),
        Fault("worker host frozen", 1, partial(frozen, WORKERS)),
        Fault("web host frozen", 0.7, partial(frozen, WEBS)),
        Fault("worker cut off", 1, partial(cut, WORKERS)),
        Fault("web cut off", 0.7, partial(cut, WEBS)),
        Fault("database cut off", 0.7, partial(cut, (DATABASE,))),
        Fault("store cut off", 0.7, partial(cut, (STORE,))),
        Fault("database killed, 3 s", 1, partial(away, (DATABASE,), 3.0)),
        Fault("database killed, 15 s", 0.5, partial(away, (DATABASE,), 15.0)),
        Fault("database frozen", 0.7, partial(frozen, (DATABASE,))),
        Fault("store frozen", 0.7, partial(frozen, (STORE,))),
        *(
            Fault(f"store away, {seconds:g} s", 8 / seconds if seconds > 4 else 1,
                  partial(away, (STORE,), seconds))
            for seconds in outages
        ),
    ]  # fmt: skip


def choose(kinds: list[Fault], draw: random.Random, count: int) -> list[Fault]:
    """Return so many, by their weights."""
    return draw.choices(kinds, [kind.weight for kind in kinds], k=count)
