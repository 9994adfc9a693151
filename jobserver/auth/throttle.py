"""Failed attempts to sign in: an address that fails waits, longer each time; no other does.

After FREE_FAILURES an address waits for 1 s, doubled by each further failure, LONGEST_WAIT_S at
most. WINDOW_S after that wait its failures are forgotten. There is no budget of all addresses
together, which a few of them could use up for everybody.

An IPv4 address counts as itself. Of IPv6 a subscriber has a network to choose addresses from, a
/64 at the least and usually a /48 at the most (RFC 6177): its /64 counts like an IPv4 address,
and its /48, the site, after FREE_FAILURES_OF_A_SITE.

The right password clears the address and its site. Without it, a site that guesses whenever it
may has 154 guesses a day. The most it can get are 5,063: some 54 at a time, then a pause until
they are forgotten. tests/auth/test_throttle.py computes both and simulates both days.
"""

import ipaddress
from typing import NamedTuple

from jobserver.db import Connection

FREE_FAILURES = 5  # of an IPv4 address, or of a /64 of IPv6
FREE_FAILURES_OF_A_SITE = 50  # of a /48 of IPv6
LONGEST_WAIT_S = 900.0
WINDOW_S = 900.0  # after its last wait; then its failures are forgotten
MAX_ADDRESSES = 10_000  # rows; beyond, those that failed longest ago are forgotten


class Network(NamedTuple):
    """What is counted as one client, and its failures before it waits."""

    address: str
    free_failures: int


class Failures(NamedTuple):
    """How many failures without a success or a long pause between; Unix seconds of the last."""

    failures: int
    last_at: float


NO_FAILURES = Failures(0, 0.0)


def record_attempt(db: Connection, remote: str | None, *, correct: bool, now: float) -> float:
    """Record an attempt to sign in; return the seconds to wait, 0 when it may be answered.

    remote: the client's address, as the socket or a trusted proxy names it. correct: whether the
    password was right. Call it inside `exclusive(db, "sign-in")` and read `now` there, so that
    attempts at the same time over all processes share one budget.

    An attempt during a wait extends the wait of its own address, whether it was right or wrong:
    neither this answer nor the next shows which. It leaves the site as it is, so that a client
    that does not wait harms no neighbour.
    """
    own, *sites = networks(remote)
    wait_s = max(_wait_s(db, network, now) for network in (own, *sites))
    if wait_s > 0:
        return max(wait_s, _extend_wait(db, own, now))
    for network in (own, *sites):
        if correct:
            _clear(db, network)
        else:
            _add_failure(db, network, now)
    return 0.0


def networks(remote: str | None) -> list[Network]:
    """Return what an address counts as: itself, or its /64 and its /48 of IPv6.

    What is no address counts as it is, e.g. the empty name of a UNIX socket's peer.
    """
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return [Network(remote or "", FREE_FAILURES)]
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, ipaddress.IPv4Address):
        return [Network(str(address), FREE_FAILURES)]
    lengths = {64: FREE_FAILURES, 48: FREE_FAILURES_OF_A_SITE}
    return [
        Network(str(ipaddress.IPv6Network((int(address), length), strict=False)), free)
        for length, free in lengths.items()
    ]


def _extend_wait(db: Connection, own: Network, now: float) -> float:
    """Count an attempt during a wait; return the seconds that `own` waits then.

    Past half of the longest wait nothing is recorded, so a flood of attempts writes nothing. An
    address that waits for its site alone has no row made, so such a flood displaces no row.
    """
    wait_s = _wait_s(db, own, now)
    if 0 < wait_s < LONGEST_WAIT_S / 2:
        _add_failure(db, own, now)
        wait_s = _wait_s(db, own, now)
    return wait_s


def _wait_s(db: Connection, network: Network, now: float) -> float:
    """Return the seconds that `network` still waits; 0 or less: it does not."""
    failures, last_at = _failures(db, network, now)
    return last_at + _wait_after(failures, network) - now if failures else 0.0


def _wait_after(failures: int, network: Network) -> float:
    """Return the seconds to wait after the last of so many failures: 0, then 1, 2, 4 ..."""
    doublings = failures - network.free_failures
    if doublings < 0:
        return 0.0
    return min(2.0 ** min(doublings, 10), LONGEST_WAIT_S)  # a float ends at 2.0 ** 1023


def _failures(db: Connection, network: Network, now: float) -> Failures:
    """Return the failures that still count.

    Those of a future time do not: the clock was set back, and nobody knows how far.
    """
    found = db.one(
        Failures,
        "SELECT failures, last_at FROM sign_in_failure WHERE address = :address",
        {"address": network.address},
    )
    if found is None or found.last_at > now:
        return NO_FAILURES
    if found.last_at + _wait_after(found.failures, network) + WINDOW_S <= now:
        return NO_FAILURES
    return found


def _add_failure(db: Connection, network: Network, now: float) -> None:
    failures = _failures(db, network, now).failures + 1
    db.write(
        """
        INSERT INTO sign_in_failure (address, failures, last_at)
        VALUES (:address, :failures, :now)
        ON CONFLICT (address) DO UPDATE SET failures = excluded.failures,
                                            last_at = excluded.last_at""",
        {"address": network.address, "failures": failures, "now": now},
    )
    _prune(db, now)


def _prune(db: Connection, now: float) -> None:
    """Delete the rows that count no more, and those beyond MAX_ADDRESSES, oldest first."""
    db.write(
        "DELETE FROM sign_in_failure WHERE last_at > :now OR last_at <= :forgotten",
        {"now": now, "forgotten": now - LONGEST_WAIT_S - WINDOW_S},
    )
    db.write(
        """
        DELETE FROM sign_in_failure WHERE address IN (
            SELECT address FROM sign_in_failure ORDER BY last_at DESC
            LIMIT :many OFFSET :kept)""",
        {"many": MAX_ADDRESSES, "kept": MAX_ADDRESSES},
    )


def _clear(db: Connection, network: Network) -> None:
    db.write("DELETE FROM sign_in_failure WHERE address = :address", {"address": network.address})
