"""A clock that jumped deletes nothing for an hour, whichever process noticed."""

import logging

import pytest

from jobserver.db import ClockNote, Connection, clock_note, exclusive, note_clock
from jobserver.jobs import clock
from jobserver.jobs.clock import GRACE_S, JUMP_S, Reading
from tests.jobs.house import AT, DAY, HOUR, YEAR, House, make_aged_jobs
from tests.results import ids, make_job
from tests.support import Site

pytestmark = pytest.mark.both_databases

TRUSTED = ClockNote(AT, AT)
WAITING = ClockNote(AT, AT + GRACE_S)


# -- the rule -----------------------------------------------------------------------------


def test_the_first_round_ever_trusts_its_clock() -> None:
    note = clock.judge(None, None, Reading(AT, 5.0))
    assert note == TRUSTED
    assert clock.is_trusted(note)


@pytest.mark.parametrize("seconds", [0, 60, GRACE_S, -60, -GRACE_S])
def test_a_process_that_starts_may_differ_by_the_grace_time(seconds: float) -> None:
    note = clock.judge(TRUSTED, None, Reading(AT + seconds, 5.0))
    assert note.noted_at == AT + seconds
    assert note.trusted_from <= AT


@pytest.mark.parametrize("seconds", [GRACE_S + 1, YEAR, -GRACE_S - 1, -YEAR])
def test_a_process_that_starts_with_another_time_waits(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    note = clock.judge(TRUSTED, None, Reading(AT + seconds, 5.0))
    assert note == (AT + seconds, AT + seconds + GRACE_S)
    assert not clock.is_trusted(note)
    assert f"the clock jumped by {seconds:.0f} s" in caplog.text


@pytest.mark.parametrize("passed", [0, 60, YEAR])
@pytest.mark.parametrize("slewed", [0, JUMP_S, -JUMP_S])
def test_a_running_process_measures_what_passed(passed: float, slewed: float) -> None:
    now = Reading(AT + passed + slewed, 5.0 + passed)
    note = clock.judge(ClockNote(AT, AT - HOUR), Reading(AT, 5.0), now)
    assert note == (now.wall, AT - HOUR)
    assert clock.is_trusted(note)


@pytest.mark.parametrize("passed", [0, 60, YEAR])
@pytest.mark.parametrize("jump", [JUMP_S + 1, -JUMP_S - 1, YEAR, -YEAR])
def test_a_running_process_that_sees_a_jump_waits(passed: float, jump: float) -> None:
    now = Reading(AT + passed + jump, 5.0 + passed)
    note = clock.judge(TRUSTED, Reading(AT, 5.0), now)
    assert note == (now.wall, now.wall + GRACE_S)


def test_the_time_of_another_process_is_no_jump_for_one_that_measures() -> None:
    """Two workers note in turn; what this one knows counts, not when the other noted."""
    other = ClockNote(AT + 30, AT - DAY)
    note = clock.judge(other, Reading(AT, 5.0), Reading(AT + 2 * HOUR, 5.0 + 2 * HOUR))
    assert note == (AT + 2 * HOUR, AT - DAY)


def test_what_another_process_waits_for_is_waited_for() -> None:
    note = clock.judge(WAITING, Reading(AT, 5.0), Reading(AT + 60, 65.0))
    assert note == (AT + 60, AT + GRACE_S)
    assert not clock.is_trusted(note)


def test_the_wait_ends_after_the_grace_time() -> None:
    for seconds, trusted in ((GRACE_S - 1, False), (GRACE_S, True)):
        note = clock.judge(WAITING, Reading(AT, 5.0), Reading(AT + seconds, 5.0 + seconds))
        assert clock.is_trusted(note) is trusted


@pytest.mark.parametrize("last", [None, Reading(AT - 60, 5.0)])
def test_nothing_waits_longer_than_the_grace_time(last: Reading | None) -> None:
    """A process noted while the clock was a year ahead, and ended before it was set right."""
    left = ClockNote(AT - 60, AT + YEAR)
    note = clock.judge(left, last, Reading(AT, 65.0))
    assert note == (AT, AT + GRACE_S)


# -- what a worker makes of it --------------------------------------------------------------


def test_a_clock_that_jumps_a_year_ahead_deletes_nothing_for_the_grace_time(
    site: Site, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = {job.id for job in make_aged_jobs(site, 0, HOUR)}
    house.after(60)
    house.after(60, jump=YEAR)
    assert "the clock jumped by 31536000 s" in caplog.text
    for _ in range(59):
        house.after(60)
    assert ids(site.server) == jobs
    house.after(61)
    assert ids(site.server) == set()


def test_a_clock_set_right_within_the_grace_time_has_cost_nothing(site: Site, house: House) -> None:
    jobs = {job.id for job in make_aged_jobs(site, 0, HOUR)}
    house.after(0)
    house.after(60, jump=YEAR)
    house.after(600, jump=-YEAR)
    for _ in range(100):
        house.after(60)
    assert ids(site.server) == jobs


def test_a_clock_set_back_a_day_deletes_nothing_and_neither_does_its_return(
    site: Site, house: House
) -> None:
    jobs = {job.id for job in make_aged_jobs(site, 0, HOUR)}
    house.after(0)
    house.after(60, jump=-DAY)
    house.after(2 * GRACE_S)
    assert ids(site.server) == jobs
    house.after(60, jump=DAY)
    assert ids(site.server) == jobs
    house.after(DAY)
    assert ids(site.server) == set()


def test_a_clock_that_is_slewed_is_trusted(site: Site, house: House) -> None:
    make_job(site.server, created_at=AT)
    for _ in range(25):
        house.after(HOUR, jump=50)
    assert ids(site.server) == set()


def keep_note(db: Connection, note: ClockNote) -> None:
    with exclusive(db, "housekeeping"):
        note_clock(db, note)


@pytest.mark.parametrize("noted", [AT - YEAR, AT + YEAR])
def test_a_start_long_before_or_after_the_last_noted_time_waits(
    site: Site, site_db: Connection, noted: float
) -> None:
    jobs = {job.id for job in make_aged_jobs(site, 2 * DAY)}
    keep_note(site_db, ClockNote(noted, noted))
    house = House(site)
    house.after(60)
    assert ids(site.server) == jobs
    house.after(GRACE_S - 1)
    assert ids(site.server) == jobs
    house.after(1)
    assert ids(site.server) == set()


@pytest.mark.parametrize("noted", [None, AT - 60, AT - GRACE_S + 1, AT + GRACE_S - 1])
def test_a_start_soon_after_the_last_noted_time_does_not(
    site: Site, site_db: Connection, noted: float | None
) -> None:
    make_aged_jobs(site, 2 * DAY)
    if noted is not None:
        keep_note(site_db, ClockNote(noted, AT - YEAR))
    House(site).after(0)
    assert ids(site.server) == set()


def test_a_restart_within_the_grace_time_does_not_end_it(site: Site) -> None:
    jobs = {job.id for job in make_aged_jobs(site, 0)}
    first = House(site)
    first.after(60)
    first.after(60, jump=YEAR)
    for _ in range(3):
        second = House(site, now=first.now + 5)
        second.after(60)
        assert ids(site.server) == jobs
    second.after(GRACE_S)
    assert ids(site.server) == set()


def test_a_jump_that_one_worker_noticed_makes_another_wait(site: Site) -> None:
    """The other starts after the jump, and has nothing to compare its clock with."""
    jobs = {job.id for job in make_aged_jobs(site, 0)}
    first = House(site)
    first.after(60)
    first.after(60, jump=YEAR)
    second = House(site, now=first.now)
    for _ in range(30):
        for house in (first, second):
            house.after(60)
    assert ids(site.server) == jobs


def test_a_round_notes_the_time(site: Site, house: House, site_db: Connection) -> None:
    assert clock_note(site_db) is None
    house.after(60)
    assert clock_note(site_db) == (AT + 60, AT + 60)
    house.after(60)
    assert clock_note(site_db) == (AT + 120, AT + 60)
    house.after(60, jump=YEAR)
    assert clock_note(site_db) == (AT + 180 + YEAR, AT + 180 + YEAR + GRACE_S)


def test_a_round_that_trusts_its_clock_says_nothing(
    site: Site, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        house.after(60)
        house.after(60)
    assert caplog.text == ""
