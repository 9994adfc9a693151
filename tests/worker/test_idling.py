"""How long idle render threads wait, and which worker does the housekeeping of all."""

import logging
import threading
from collections.abc import Iterator

import pytest

from jobserver.db import connect
from jobserver.fault_log import FaultLog
from jobserver.worker import heartbeat
from jobserver.worker import render_thread as render_thread_module
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.idling import IDLE_S, Idling
from jobserver.worker.maintenance import House
from jobserver.worker.render_thread import RenderThread
from tests.postgres import Cluster
from tests.support import Site


class Waits(threading.Event):
    """Keeps how long each wait was to be, and waits for nothing."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._count = count

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        if len(self.seconds) == self._count:
            self.set()
        return self.is_set()


def test_a_file_on_this_machine_is_looked_at_in_fixed_short_intervals() -> None:
    idling = Idling(many_hosts=False)
    assert [idling.next_s() for _ in range(50)] == [IDLE_S] * 50


def test_a_server_is_asked_less_and_less_often_and_never_in_step() -> None:
    each = [Idling(many_hosts=True) for _ in range(100)]
    first = [idling.next_s() for idling in each]
    assert all(0.25 <= wait <= 0.5 for wait in first)
    for _ in range(20):
        last = [idling.next_s() for idling in each]
    assert all(2.5 <= wait <= 5.0 for wait in last)
    for waits in (first, last):
        assert len({round(wait, 2) for wait in waits}) > 10
    each[0].reset()
    assert each[0].next_s() <= 0.5


def test_a_found_file_makes_the_next_wait_the_shortest_again(
    render_thread: RenderThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([False] * 12 + [True] + [False] * 2)
    monkeypatch.setattr(render_thread, "work_once", lambda: next(found))
    monkeypatch.setattr(render_thread_module, "many_hosts", lambda place: True)
    render_thread.run(waits := Waits(14))
    assert waits.seconds[11] > 2.5
    assert waits.seconds[12] <= 0.5
    assert waits.seconds[12] < waits.seconds[11]


@pytest.mark.tools
def test_leases_in_a_server_are_renewed_less_often(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = Heartbeat(cluster.create_initialised())
    monkeypatch.setattr(beat, "_stopped", waits := Waits(2))
    beat._run()
    assert waits.seconds == [5.0, 5.0]
    assert max(waits.seconds) * 3 < heartbeat.LEASE_S


def test_leases_in_a_file_are_renewed_each_second(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = Heartbeat(site.server.place)
    monkeypatch.setattr(beat, "_stopped", waits := Waits(2))
    beat._run()
    assert waits.seconds == [1.0, 1.0]


# -- the housekeeping of all hosts ------------------------------------------------------------


class Rounds:
    """A housekeeper that counts."""

    def __init__(self) -> None:
        self.count = 0

    def round(self, now: float, monotonic: float) -> None:
        self.count += 1


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    url = cluster.create_initialised()
    yield url
    cluster.drop(url)


def house_on(place: object, keeper: Rounds) -> House:
    faults = FaultLog(logging.getLogger())
    return House(keeper, connect(place), place, faults)  # type: ignore[arg-type]


@pytest.mark.tools
def test_of_all_workers_on_a_server_one_does_the_round_of_a_minute(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keepers = [Rounds() for _ in range(3)]
    houses = [house_on(url, keeper) for keeper in keepers]
    for house in houses * 2:
        house.round()
    assert [keeper.count for keeper in keepers] == [1, 0, 0]
    now = houses[0]._db.clock()
    for house in houses:  # the first has died since
        monkeypatch.setattr(house._db, "clock", lambda: now + 55)
    for house in houses[1:]:
        house.round()
    assert [keeper.count for keeper in keepers] == [1, 1, 0]


def test_each_worker_on_a_file_does_its_own_rounds(site: Site) -> None:
    keepers = [Rounds() for _ in range(2)]
    for keeper in keepers:
        house_on(site.server.place, keeper).round()
    assert [keeper.count for keeper in keepers] == [1, 1]
