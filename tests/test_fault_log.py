"""A lasting fault is a line when it begins, changes and is over, and one an hour."""

import logging
import threading
from collections.abc import Iterator

import pytest

from jobserver.fault_log import FORGOTTEN_S, MAX_FAULTS, REMINDER_S, SETTLED_S, FaultLog


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Faults(FaultLog):
    """A fault log whose lines a test reads."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.clock = Clock()
        super().__init__(logging.getLogger("tests.faults"), self.clock)
        self._caplog = caplog

    def new_lines(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def faults(caplog: pytest.LogCaptureFixture) -> Iterator[Faults]:
    with caplog.at_level(logging.DEBUG):
        yield Faults(caplog)


def test_a_fault_that_is_seen_twice_a_second_is_one_line_and_one_an_hour(faults: Faults) -> None:
    for _ in range(2 * 3600 * 24):
        faults.seen("claim", "cannot claim: full")
        faults.clock.now += 0.5
    lines = faults.new_lines()
    assert lines[0] == "cannot claim: full"
    assert lines[1] == f"cannot claim: full (seen 7201 x in {REMINDER_S:.0f} s)"
    assert len(lines) == 24


def test_another_fault_of_the_same_is_a_line_and_going_back_to_the_first_is_none(
    faults: Faults,
) -> None:
    for message in ("full", "busy", "full", "busy"):
        faults.seen("claim", message)
    assert faults.new_lines() == ["full", "busy"]


def test_messages_that_differ_each_time_are_one_fault_of_their_kind(faults: Faults) -> None:
    for number in range(50):
        faults.seen("request", f"request {number} failed: gone", kind="gone")
    assert faults.new_lines() == ["request 0 failed: gone"]


def test_the_end_is_a_line_and_the_next_beginning_too(faults: Faults) -> None:
    faults.seen("claim", "full")
    faults.clock.now += SETTLED_S
    faults.seen("claim", "full")
    faults.over("another")
    assert faults.new_lines() == ["full"]
    faults.over("claim")
    faults.over("claim")
    assert faults.new_lines() == ["over: full (seen 2 x in 60 s)"]
    faults.seen("claim", "full")
    assert faults.new_lines() == ["full"]


def test_the_end_of_a_short_fault_is_logged_by_the_first_call_after_a_minute(
    faults: Faults,
) -> None:
    faults.seen("claim", "full")
    faults.clock.now += SETTLED_S - 1
    faults.over("claim")
    assert faults.new_lines() == ["full"]
    faults.clock.now += 1
    faults.over("claim")
    assert faults.new_lines() == ["over: full (seen 1 x in 0 s)"]


def test_a_fault_that_comes_and_goes_each_second_is_two_lines_a_minute(faults: Faults) -> None:
    for _ in range(600):
        faults.seen("claim", "full")
        faults.clock.now += 1
        faults.over("claim")
    assert len(faults.new_lines()) == 20


def test_a_fault_that_was_not_seen_for_long_is_new_although_nobody_said_that_it_is_over(
    faults: Faults,
) -> None:
    faults.seen("request", "gone")
    faults.clock.now += FORGOTTEN_S
    faults.seen("request", "gone")
    faults.clock.now += FORGOTTEN_S + 1
    faults.seen("request", "gone")
    assert faults.new_lines() == ["gone", "gone"]


def test_no_more_faults_are_remembered_than_the_limit(faults: Faults) -> None:
    for number in range(MAX_FAULTS + 1):
        faults.seen("request", str(number))
    faults.new_lines()
    faults.seen("request", "1")  # the second is remembered, the first is not
    faults.seen("request", "0")
    assert faults.new_lines() == ["0"]


def test_threads_that_see_it_at_once_log_it_once(faults: Faults) -> None:
    barrier = threading.Barrier(8)

    def see() -> None:
        barrier.wait()
        for _ in range(200):
            faults.seen("claim", "full")
            faults.over("claim")

    threads = [threading.Thread(target=see) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.new_lines() == ["full"]
