"""Hosts as network namespaces, joined by a bridge in one more; nothing leads outside."""

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

NET, FIRST = "10.77.0.", 10
SWITCH = "switch"
CLONE_NEWNET = 0x40000000  # sched.h


class Network:
    """Namespaces by the names of hosts. Each has one address; the switch has none."""

    def __init__(self, hosts: Sequence[str], net: str = NET, first: int = FIRST) -> None:
        self._mark = f"js{os.getpid() % 100_000}{secrets.token_hex(2)}"
        self.addresses = {host: f"{net}{first + n}" for n, host in enumerate(hosts)}
        self._ports = {host: f"p{n}" for n, host in enumerate(hosts)}
        self._made: list[str] = []

    def __getitem__(self, host: str) -> str:
        return self.addresses[host]

    def namespace(self, host: str) -> str:
        """The name of a host's namespace."""
        return f"{self._mark}-{host}"

    def inside(self, host: str, *command: object) -> list[str]:
        """Return the command that runs another one on a host."""
        return ["ip", "netns", "exec", self.namespace(host), *map(str, command)]

    def start(self) -> "Network":
        self._add(SWITCH)
        self._run(*self.inside(SWITCH, "ip", "link", "add", "br0", "type", "bridge"))
        self._run(*self.inside(SWITCH, "ip", "link", "set", "br0", "up"))
        for host in self.addresses:
            self._join(host)
        return self

    def _join(self, host: str) -> None:
        self._add(host)
        port, switch = self._ports[host], self.namespace(SWITCH)
        at_switch = ("ip", "-n", switch, "link")
        self._run(*at_switch, "add", port, "type", "veth", "peer", "name", "eth0", "netns",
                  self.namespace(host))  # fmt: skip
        self._run(*at_switch, "set", port, "master", "br0", "up")
        of_host = ("ip", "-n", self.namespace(host))
        self._run(*of_host, "address", "add", f"{self[host]}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self._run(*of_host, "link", "set", device, "up")

    def cut(self, host: str) -> None:
        """Let the switch pass nothing to or from a host, which notices nothing."""
        self._set_port(host, "disabled")

    def mend(self, host: str) -> None:
        """Undo cut()."""
        self._set_port(host, "forwarding")

    def stop(self) -> None:
        """Remove the namespaces; what runs in them must have ended."""
        for host in reversed(self._made):
            with suppress(subprocess.CalledProcessError):
                self._run("ip", "netns", "delete", self.namespace(host))
        self._made.clear()

    def _set_port(self, host: str, state: str) -> None:
        number = {"disabled": "0", "forwarding": "3"}[state]
        port = self._ports[host]
        self._run(*self.inside(SWITCH, "bridge", "link", "set", "dev", port, "state", number))

    def _add(self, host: str) -> None:
        self._run("ip", "netns", "add", self.namespace(host))
        self._made.append(host)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=20)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Let this thread, and what it starts, be in a namespace."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns into {namespace}")
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@contextmanager
def network(hosts: Sequence[str], net: str = NET, first: int = FIRST) -> Iterator[Network]:
    """Give a network of these hosts. net: their addresses without the last number."""
    made = Network(hosts, net, first)
    try:
        yield made.start()
    finally:
        made.stop()
