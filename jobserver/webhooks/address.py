"""Where a webhook may go: public addresses by HTTPS, and what WEBHOOK_ALLOW names.

A URL is checked when a job is made, the addresses that its name has before each connection: a
name may be given another address at any time (DNS rebinding).
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address
MAX_LENGTH = 2048  # characters of a URL
PORTS = {"https": 443, "http": 80}
PUBLIC_PORTS = (443, 8443)
_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
_LIKE_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # `2130706433`, `127.1`, `0x7f.1`

# Not globally reachable, or not to be reached by this way.
# https://www.iana.org/assignments/iana-ipv4-special-registry/
# https://www.iana.org/assignments/iana-ipv6-special-registry/
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",  # Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class Allowed(NamedTuple):
    """What WEBHOOK_ALLOW names: there, http, any port and private addresses may be used."""

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


class Receiver(NamedTuple):
    """A URL in its parts. host: lower case, without brackets. target: path and query."""

    scheme: str
    host: str
    port: int
    target: str


def read_allowed(words: Iterable[str]) -> Allowed:
    """Read host names, addresses and networks. Raises ValueError, a reason."""
    names, networks = set(), []
    for word in (each.strip().lower() for each in words):
        try:
            networks.append(ip_network(word))
            continue
        except ValueError:
            pass
        if not _NAME.fullmatch(word) or _LIKE_A_NUMBER.fullmatch(word):
            raise ValueError(f"{word!r} is neither a host name nor an address or a network")
        names.add(word)
    return Allowed(frozenset(names), tuple(networks))


def read_url(url: str, allowed: Allowed) -> Receiver:
    """Return the parts of a URL that webhooks may go to. Raises ValueError, a reason."""
    receiver = _parts(url)
    address = _literal(receiver.host)
    if receiver.host in allowed.names or (address and _is_named(address, allowed)):
        return receiver
    if receiver.scheme != "https":
        raise ValueError("must begin with https://")
    if receiver.port not in PUBLIC_PORTS:
        raise ValueError(f"must use port {' or '.join(map(str, PUBLIC_PORTS))}")
    is_local = receiver.host == "localhost" or receiver.host.endswith(".localhost")
    if is_local or (address and not is_public(address)):
        raise ValueError("must not name a private address")
    return receiver


def check_addresses(receiver: Receiver, found: Sequence[str], allowed: Allowed) -> None:
    """Raise ValueError, a reason, unless every address of a receiver's host may be connected to."""
    if receiver.host in allowed.names:
        return
    for text in found:
        address = ip_address(text)
        if not is_public(address) and not _is_named(address, allowed):
            raise ValueError(f"the address of {receiver.host} is not public")


def is_public(address: Address) -> bool:
    """Whether anybody in the Internet may have this address."""
    address = _embedded(address)
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that is reached by an IPv6 one, else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_named(address: Address, allowed: Allowed) -> bool:
    return any(_embedded(address) in network for network in allowed.networks)


def _literal(host: str) -> Address | None:
    """Return the address that a host is written as, or None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _parts(url: str) -> Receiver:
    if len(url) > MAX_LENGTH:
        raise ValueError(f"must have at most {MAX_LENGTH} characters")
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        raise ValueError("must be a URL of ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").removesuffix(".")
    except ValueError:
        raise ValueError("must be a URL like https://example.com/hook") from None
    if parts.scheme not in PORTS or not host or port == 0:
        raise ValueError("must be a URL like https://example.com/hook")
    if "@" in parts.netloc:
        raise ValueError("must not have a user name or a password")
    if ":" in host:
        is_usual = _literal(host) is not None and "%" not in host
    else:
        is_usual = bool(_NAME.fullmatch(host))
        if _LIKE_A_NUMBER.fullmatch(host):  # of which getaddrinfo(3) would make an address
            is_usual = _literal(host) is not None
    if not is_usual:
        raise ValueError("must name its host by a usual name or address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(parts.scheme, host, port or PORTS[parts.scheme], target)
