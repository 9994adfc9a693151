"""How many attempts a password has, from where, and how long an address waits."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.auth import throttle
from jobserver.db import (
    CommitUnknown,
    Connection,
    DatabaseBusy,
    DatabaseUnavailable,
    Place,
    connect,
    exclusive,
    initialise,
)
from tests.support import together

pytestmark = pytest.mark.both_databases

NOW = 1_800_000_000.0  # Unix seconds
DAY_S = 86_400
IPV4, OTHER = "192.0.2.1", "198.51.100.7"


class Attempts:
    """Attempts at one database, at times that the test chooses."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    def __call__(self, address: str = IPV4, correct: bool = False, at: float = 0) -> float:
        """Return the seconds to wait, 0 when it is answered; `at` is seconds after NOW."""
        if self.db.in_transaction:
            return throttle.record_attempt(self.db, address, correct=correct, now=NOW + at)
        with exclusive(self.db, "sign-in"):
            return throttle.record_attempt(self.db, address, correct=correct, now=NOW + at)

    def addresses(self) -> list[str]:
        """Return what has failures, the oldest first."""
        return list(self.db.column("SELECT address FROM sign_in_failure ORDER BY last_at, address"))

    def failures(self, address: str = IPV4) -> int | None:
        query = "SELECT failures FROM sign_in_failure WHERE address = :address"
        number: int | None = self.db.value(query, {"address": address})
        return number


@pytest.fixture(scope="module")
def database(
    tmp_path_factory: pytest.TempPathFactory, new_url: Callable[[], dict[str, str]]
) -> Place:
    place = new_url().get("DATABASE_URL") or tmp_path_factory.mktemp("throttle") / "db.sqlite3"
    initialise(place)
    return place


@pytest.fixture
def attempt(database: Place) -> Iterator[Attempts]:
    """Attempts that nobody has made before, and that the next test does not see."""
    with closing(connect(database)) as db:
        db.begin(alone=True)
        yield Attempts(db)
        db.rollback()


def of_site(number: int, site: int = 0) -> str:
    """Return an address of its own /64 in a /48."""
    return str(IPv6Address((0x2001_0DB8_0000 + site) << 80 | number << 64 | 1))


# -- one address ----------------------------------------------------------------


def test_five_wrong_attempts_are_answered_and_each_one_more_doubles_the_wait(
    attempt: Attempts,
) -> None:
    waits = [attempt() for _ in range(13)]
    assert waits == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256]


def test_the_wait_is_never_longer_than_a_quarter_of_an_hour_and_never_ends_early(
    attempt: Attempts,
) -> None:
    waits = [attempt() for _ in range(1000)]
    assert max(waits) == 512
    assert waits == sorted(waits)
    assert attempt(correct=True, at=waits[-1] - 1) > 0
    assert attempt.failures() == 15  # a flood does not write for long


def test_who_fails_each_time_the_wait_ends_waits_900_seconds_at_most(attempt: Attempts) -> None:
    at, waits = 0.0, []
    for _ in range(1_100):
        while (wait_s := attempt(correct=False, at=at)) > 0:
            at += wait_s
            waits.append(wait_s)
    assert waits[-1] == 900
    assert max(waits) == 900


@pytest.mark.parametrize("failures", [2_000, 10**9])
def test_no_number_of_failures_is_too_large_to_compute_the_wait(
    failures: int, attempt: Attempts
) -> None:
    attempt.db.write(
        "INSERT INTO sign_in_failure (address, failures, last_at) VALUES (:a, :n, :at)",
        {"a": IPV4, "n": failures, "at": NOW},
    )
    assert attempt(at=899) == 900  # this attempt has extended the wait
    assert attempt(correct=True, at=899 + 900) == 0


def test_the_right_password_waits_too_and_after_the_wait_it_is_let_in(attempt: Attempts) -> None:
    for _ in range(6):
        attempt()
    assert attempt(correct=True, at=0.5) > 0
    assert attempt(correct=True, at=4.6) == 0


def test_who_waits_exactly_as_long_as_the_last_answer_said_is_answered(attempt: Attempts) -> None:
    for number in range(6, 16):
        address = f"203.0.113.{number}"
        wait_s = [attempt(address) for _ in range(number)][-1]
        assert attempt(address, correct=True, at=wait_s - 0.001) > 0
        address += "0"
        wait_s = [attempt(address) for _ in range(number)][-1]
        assert attempt(address, correct=True, at=wait_s) == 0


def test_an_attempt_during_a_wait_changes_the_same_whether_it_was_right_or_wrong(
    attempt: Attempts,
) -> None:
    waits = []
    for sixth, address in ((True, IPV4), (False, OTHER)):
        passwords = [False] * 6 + [sixth] * 2 + [False]
        waits.append([attempt(address, correct=correct) for correct in passwords])
    assert waits[0] == waits[1] == [0, 0, 0, 0, 0, 2, 4, 8, 16]


def test_the_right_password_clears_its_address_alone(attempt: Attempts) -> None:
    for _ in range(4):
        attempt()
        attempt(OTHER)
    assert attempt(correct=True) == 0
    assert attempt.addresses() == [OTHER]
    assert [attempt() for _ in range(6)] == [0, 0, 0, 0, 0, 2]
    assert [attempt(OTHER) for _ in range(2)] == [0, 2]


def test_failures_are_forgotten_a_quarter_of_an_hour_after_the_wait(attempt: Attempts) -> None:
    for address in (IPV4, OTHER):
        for _ in range(5):
            attempt(address)
    assert attempt(at=900.9) == 0
    assert attempt.failures() == 6  # the wait was 1 s
    assert attempt(OTHER, at=901) == 0
    assert attempt.failures(OTHER) == 1


def test_rows_that_count_no_more_are_deleted_by_the_next_failure(attempt: Attempts) -> None:
    for number in range(20):
        attempt(f"203.0.113.{number}", at=number / 10)
    attempt(OTHER, at=1800)
    assert attempt.addresses()[:2] == ["203.0.113.1", "203.0.113.2"]
    attempt(OTHER, at=1802)
    assert attempt.addresses() == [OTHER]


# -- other addresses ------------------------------------------------------------


def test_other_addresses_are_served_while_one_waits(attempt: Attempts) -> None:
    for _ in range(200):
        attempt()
    assert attempt(OTHER, correct=True) == 0
    assert attempt("198.51.100.8") == 0


@pytest.mark.parametrize("addresses", [8, 64, 256])
@pytest.mark.parametrize(
    "address_of", [lambda n: f"198.51.{n // 250}.{n % 250}", lambda n: of_site(1, site=n)]
)
def test_128_wrong_attempts_from_a_few_addresses_leave_every_other_address_as_it_was(
    addresses: int, address_of: Callable[[int], str], attempt: Attempts
) -> None:
    for number in range(max(128, addresses)):
        attempt(address_of(number % addresses), at=number / 128)
    for other in (IPV4, "::1", "", of_site(1, site=1000)):
        assert attempt(other, correct=True, at=1) == 0
    assert [attempt(IPV4, at=1) for _ in range(6)] == [0, 0, 0, 0, 0, 2]


@settings(deadline=None, database=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([IPV4, OTHER, of_site(1), of_site(1, site=1)]),
            st.booleans(),
            st.sampled_from([0.0, 0.5, 1.0, 4.0, 60.0, 700.0, 2_000.0]),
        ),
        max_size=60,
    )
)
def test_what_others_attempt_never_changes_an_answer(
    database: Place, attempts: list[tuple[str, bool, float]]
) -> None:
    times = list(itertools.accumulate(seconds for *_, seconds in attempts))
    with closing(connect(database)) as db:
        db.begin(alone=True)  # closing undoes it
        attempt = Attempts(db)

        def answers(to: set[str]) -> list[tuple[str, float]]:
            db.write("DELETE FROM sign_in_failure")
            return [
                (address, attempt(address, correct, at))
                for (address, correct, _), at in zip(attempts, times, strict=True)
                if address in to
            ]

        everybody = {address for address, *_ in attempts}
        all_answers = answers(everybody)
        for each in everybody:
            assert answers({each}) == [answer for answer in all_answers if answer[0] == each]


def test_the_table_is_bounded_and_the_oldest_failures_are_forgotten(
    attempt: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_ADDRESSES", 100)
    for number in range(250):
        assert attempt(f"198.51.100.{number}", at=number / 1000) == 0
    assert len(attempt.addresses()) == 100
    assert attempt.addresses()[0] == "198.51.100.150"
    for _ in range(6):
        attempt(OTHER, at=1)  # a full table still counts
    assert attempt(OTHER, correct=True, at=1) > 0
    assert attempt(IPV4, correct=True, at=1) == 0


def test_ten_thousand_rows_neither_lock_anybody_out_nor_slow_an_attempt_down(
    attempt: Attempts,
) -> None:
    attempt.db.write_many(
        "INSERT INTO sign_in_failure (address, failures, last_at) VALUES (:address, 20, :at)",
        ({"address": f"row {n}", "at": NOW - 1 + n / 10_000} for n in range(10_000)),
    )
    assert attempt() == 0
    assert len(attempt.addresses()) == throttle.MAX_ADDRESSES == 10_000
    assert attempt.addresses()[-1] == IPV4
    assert attempt(OTHER, correct=True) == 0


# -- the clock ------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-1.0, -3_600.0, -(10.0**9)])
def test_a_clock_set_back_locks_nobody_out(seconds: float, attempt: Attempts) -> None:
    for address in (IPV4, of_site(1)):
        for _ in range(200):
            attempt(address)
        assert attempt(address, correct=True, at=seconds) == 0
        assert [attempt(address, at=seconds) for _ in range(6)] == [0, 0, 0, 0, 0, 2]


def test_a_clock_set_back_does_not_fill_the_table_with_rows_of_the_future(
    attempt: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_ADDRESSES", 20)
    for number in range(20):
        attempt(f"198.51.100.{number}")
    attempt(OTHER, at=-3_600)
    assert attempt.addresses() == [OTHER]


# -- several processes ----------------------------------------------------------


def answered(place: Place, address: str, attempts: int) -> int:
    """Make wrong attempts one after the other; return how many need not have waited."""
    with closing(connect(place)) as db:
        attempt = Attempts(db)

        def waited() -> float:
            while True:
                try:
                    return attempt(address)
                except CommitUnknown:
                    raise
                except (DatabaseBusy, DatabaseUnavailable):
                    continue  # a busy machine: nothing was written, so nothing was answered

        return sum(waited() == 0 for _ in range(attempts))


@pytest.mark.parametrize("address", [IPV4, "2001:db8::1"])
def test_attempts_of_several_processes_at_once_share_one_budget(address: str, place: Place) -> None:
    counts = together(5, partial(answered, address=address, attempts=10), place)
    assert sum(counts) == throttle.FREE_FAILURES


# -- networks -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remote", "counted_as"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
        ("2001:db8::1", ["2001:db8::/64", "2001:db8::/48"]),
        ("2001:db8::ffff:2", ["2001:db8::/64", "2001:db8::/48"]),
        ("2001:db8:0:1::1", ["2001:db8:0:1::/64", "2001:db8::/48"]),
        ("2001:db8:1:1::1", ["2001:db8:1:1::/64", "2001:db8:1::/48"]),
        ("fe80::1%eth0", ["fe80::/64", "fe80::/48"]),
        ("", [""]),
        (None, [""]),
        ("unknown", ["unknown"]),
    ],
)
def test_a_client_is_an_ipv4_address_or_a_64_and_a_48_of_ipv6(
    remote: str | None, counted_as: list[str]
) -> None:
    assert [network.address for network in throttle.networks(remote)] == counted_as


def test_a_64_has_five_free_attempts_and_a_48_has_fifty(attempt: Attempts) -> None:
    assert [attempt(of_site(0)) for _ in range(6)] == [0, 0, 0, 0, 0, 2]
    assert [attempt(of_site(number)) for number in range(1, 46)] == [0] * 45
    assert attempt(of_site(46)) == 1
    assert attempt(of_site(46, site=1), correct=True) == 0


def test_an_attempt_while_the_site_waits_is_not_recorded(attempt: Attempts) -> None:
    for number in range(50):
        attempt(of_site(number))
    rows = attempt.addresses()
    waits = {attempt(of_site(number), correct=number % 2 == 0) for number in range(50, 500)}
    assert waits == {1}
    assert attempt.addresses() == rows
    assert attempt(of_site(500), correct=True, at=1) == 0


def test_an_attempt_during_the_wait_of_a_64_does_not_count_for_its_site(
    attempt: Attempts,
) -> None:
    for _ in range(100):
        attempt(of_site(1))
    assert attempt.failures("2001:db8::/48") == 5
    assert attempt(of_site(2), correct=True) == 0


def test_the_right_password_clears_the_64_and_its_site(attempt: Attempts) -> None:
    for number in range(40):
        attempt(of_site(number))
    assert attempt(of_site(1), correct=True) == 0
    assert len(attempt.addresses()) == 39
    assert "2001:db8::/48" not in attempt.addresses()


# -- what a day allows ----------------------------------------------------------


def guesses_of_a_site(attempt: Attempts, pauses: list[int]) -> int:
    """Guess wrong for a day from one /48, from a /64 of its own each time; return how many count.

    Each guess is made as soon as it may be. pauses: after so many waits the attacker does nothing
    until all failures are forgotten and begins anew, with the next number; without one he goes on.
    """
    at, guesses, waits = 0.0, 0, 0
    pause_after = iter(pauses)
    limit = next(pause_after, None)
    for number in itertools.count():
        wait_s = attempt(of_site(number), at=at)
        if wait_s == 0:
            guesses += 1
        elif waits == limit:
            at, waits, limit = at + wait_s + throttle.WINDOW_S, 0, next(pause_after, None)
        else:
            at, waits = at + wait_s, waits + 1
        if at >= DAY_S:
            break
    return guesses


def best_pauses(free_failures: int) -> tuple[int, list[int]]:
    """Return the most guesses that the rule allows in a day, and the pauses that give them."""
    waits = [min(2.0**k, throttle.LONGEST_WAIT_S) for k in range(13)]  # later ones cost a pause
    starts = [0.0, *itertools.accumulate(waits)]
    best = [(0, 0)]  # guesses, and waits before the first pause, by seconds that are left
    for left in range(1, DAY_S + 1):
        options = []
        for taken, (start, wait_s) in enumerate(zip(starts, waits, strict=False)):
            if start < left:
                rest = max(0, left - int(start + wait_s + throttle.WINDOW_S))
                options.append((free_failures + taken + best[rest][0], taken))
        best.append(max(options))
    pauses, left = [], DAY_S
    while left > 0:
        pauses.append(best[left][1])
        left -= int(starts[pauses[-1]] + waits[pauses[-1]] + throttle.WINDOW_S)
    return best[DAY_S][0], pauses


@pytest.mark.sqlite_only  # so many rows in one transaction
def test_a_site_that_guesses_whenever_it_may_has_154_guesses_a_day(attempt: Attempts) -> None:
    assert guesses_of_a_site(attempt, []) == 154


@pytest.mark.sqlite_only  # so many rows in one transaction
def test_no_pauses_give_a_site_more_than_5063_guesses_a_day(attempt: Attempts) -> None:
    most, pauses = best_pauses(throttle.FREE_FAILURES_OF_A_SITE)
    assert most == 5_063
    assert guesses_of_a_site(attempt, pauses) == most
