"""How long a render thread waits between two looks at a queue that has nothing for it.

Of one file all who look are on this machine, so a short, fixed wait costs little. Of a server
the workers of all hosts ask: they wait longer the longer nothing comes, and not in step.
"""

import random

IDLE_S = 0.1  # each look is a read of two indexes
IDLE_ON_MANY_HOSTS_S = (0.5, 5.0)  # the first wait, and the longest
_GROWTH = 1.5


class Idling:
    """One a render thread."""

    def __init__(self, *, many_hosts: bool) -> None:
        self._many_hosts = many_hosts
        self.reset()

    def reset(self) -> None:
        """Begin again with the shortest wait: there was a file."""
        self._most = IDLE_ON_MANY_HOSTS_S[0]

    def next_s(self) -> float:
        """Return how many seconds to wait now; with many hosts at random, half of them at least."""
        if not self._many_hosts:
            return IDLE_S
        most = self._most
        self._most = min(most * _GROWTH, IDLE_ON_MANY_HOSTS_S[1])
        return random.uniform(most / 2, most)  # noqa: S311  no secret
