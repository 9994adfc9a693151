"""Hosts as network namespaces, joined by a bridge in one more; nothing leads outside."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

NET = "10.77.0."
SWITCH = "switch"


class Network:
    """Namespaces by the names of hosts. Each has one address; the switch has none."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._mark = f"js{os.getpid() % 100_000}{secrets.token_hex(2)}"
        self.addresses = {host: f"{NET}{10 + n}" for n, host in enumerate(hosts)}
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
def network(hosts: Sequence[str]) -> Iterator[Network]:
    """Give a network of these hosts."""
    made = Network(hosts)
    try:
        yield made.start()
    finally:
        made.stop()
