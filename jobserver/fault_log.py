"""A lasting fault is logged when it begins, when it changes and when it is over, not each time.

What is tried twice a second, or by each request, would fill the disk with one line otherwise.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

SETTLED_S = 60.0  # no end is logged sooner after the beginning, for faults that come and go
FORGOTTEN_S = 180.0  # what was not seen for so long is new when it is seen again
REMINDER_S = 3600.0  # how often a fault that lasts is logged again
MAX_FAULTS = 100  # remembered at once; beyond, the one that was seen longest ago is forgotten


@dataclass
class _Fault:
    message: str
    began_at: float
    logged_at: float
    seen_at: float
    count: int = 0


class FaultLog:
    """Logs the faults of one program; threads may share it."""

    def __init__(
        self, log: logging.Logger, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """monotonic: seconds that only grow."""
        self._log, self._monotonic = log, monotonic
        self._lock = threading.Lock()
        self._faults: dict[tuple[str, str], _Fault] = {}

    def seen(
        self,
        what: str,
        message: str,
        *,
        kind: str | None = None,
        level: int = logging.WARNING,
        error: BaseException | None = None,
    ) -> None:
        """Log `message` unless it is known already.

        what: cannot be done, for over(). kind: tells faults apart where their messages differ
        each time; without it the message does. error: its traceback is logged with it.
        """
        with self._lock:
            line = self._line(what, message, kind or message)
        if line is not None:
            self._log.log(level, "%s", line, exc_info=error)

    def over(self, what: str) -> None:
        """It has gone well: log the end of the faults of `what`, unless they have just begun."""
        if not self._faults:  # nearly always
            return
        with self._lock:
            settled = self._monotonic() - SETTLED_S
            over = [
                key
                for key, fault in self._faults.items()
                if key[0] == what and fault.began_at <= settled
            ]
            ended = [self._faults.pop(key) for key in over]
        for fault in ended:
            self._log.warning("over: %s%s", fault.message, _extent(fault))  # seen where it began

    def _line(self, what: str, message: str, kind: str) -> str | None:
        """Note that it was seen; return what is to be logged about it, if anything."""
        now = self._monotonic()
        fault = self._faults.pop((what, kind), None)
        if fault is None or now - fault.seen_at > FORGOTTEN_S:
            fault = _Fault(message, began_at=now, logged_at=now, seen_at=now)
        fault.seen_at, fault.count = now, fault.count + 1
        self._faults[what, kind] = fault  # last: the one that was seen latest
        if len(self._faults) > MAX_FAULTS:
            del self._faults[next(iter(self._faults))]
        if fault.count == 1:
            return message
        if now - fault.logged_at < REMINDER_S:
            return None
        fault.logged_at = now
        return f"{message}{_extent(fault)}"


def _extent(fault: _Fault) -> str:
    return f" (seen {fault.count} x in {fault.seen_at - fault.began_at:.0f} s)"
