"""A worker with shortened times and, if asked, a fault: `python -m tests.faulty_worker`.

LEASE_S, HEARTBEAT_S, IDLE_S, GRACE_S, LOCK_S, HOUSEKEEPING_S and RETRY_DELAYS_S
(comma-separated) in the environment replace the worker's own. WORKER_FAULT is `step:KILL` or
`step:STOP`: which signal the process sends itself when it reaches that step for the first time.

Steps, in their order: claimed; probing and rendering (ffmpeg has begun to work); written
(outputs whole, none renamed); renaming (the first of a group is renamed); renamed (all are,
not committed); committed.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobserver import create_app, render
from jobserver.jobs import lease, output, slot, store, worker
from jobserver.jobs.slot import Slot
from jobserver.render import ffmpeg

SECONDS = {
    "LEASE_S": lease,
    "HEARTBEAT_S": lease,
    "IDLE_S": slot,
    "LOCK_S": slot,
    "GRACE_S": worker,
    "HOUSEKEEPING_S": worker,
}
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}

_doing = threading.local()  # which of render's calls this thread is in


class Fault:
    """Sends the signal once, at its step."""

    def __init__(self, text: str) -> None:
        self._step, _, action = text.partition(":")
        self._signal = SIGNALS.get(action)

    def reach(self, step: str) -> None:
        if step == self._step and self._signal is not None:
            number, self._signal = self._signal, None
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # the signal stops other threads than this one a moment later


fault = Fault(os.environ.get("WORKER_FAULT", ""))


class FaultyOs:
    """`os` as the worker sees it: it renames outputs, and nothing else."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def rename(self, *paths: Any) -> None:
        os.rename(*paths)
        if str(paths[1]).endswith(".mp4"):
            fault.reach("renaming")


def reached_after(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    """Return the call with a step at its end, when it gave something."""

    def called(*args: Any, **named: Any) -> Any:
        if (result := call(*args, **named)) is not None:
            fault.reach(step)
        return result

    return called


def reached_before(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        fault.reach(step)
        return call(*args, **named)

    return called


def done_as(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    """Return the call of render with a step at the first line its ffmpeg writes."""

    def called(*args: Any, **named: Any) -> Any:
        _doing.step = step
        try:
            result = call(*args, **named)
            return list(result) if isinstance(result, Iterator) else result
        finally:
            _doing.step = ""

    return called


def watched(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return ffmpeg.run with a step at the first line of output."""

    def called(
        command: Any, limits: Any, access: Any, on_line: Callable[[bytes], bool], *rest: Any
    ) -> Any:
        def line_came(line: bytes) -> bool:
            fault.reach(getattr(_doing, "step", ""))
            return on_line(line)

        return run(command, limits, access, line_came, *rest)

    return called


@contextmanager
def transaction(db: Any) -> Iterator[None]:
    """Write as the worker does; publishing reaches `renamed` before, `committed` after the end."""
    publishing = getattr(_doing, "publishing", False)
    with real_transaction(db):
        yield
        if publishing:
            fault.reach("renamed")
    if publishing:
        fault.reach("committed")


def publish(its_slot: Slot, *args: Any, **named: Any) -> None:
    _doing.publishing = True
    try:
        real_publish(its_slot, *args, **named)
    finally:
        _doing.publishing = False


def place_faults() -> None:
    """Put the steps around what the worker calls."""
    store.claim = reached_after(store.claim, "claimed")  # type: ignore[assignment]
    render.probe = done_as(render.probe, "probing")  # type: ignore[assignment]
    render.render = done_as(render.render, "rendering")  # type: ignore[assignment]
    ffmpeg.run = watched(ffmpeg.run)  # type: ignore[assignment]
    output.make_durable = reached_before(output.make_durable, "written")  # type: ignore[assignment]
    slot.os = FaultyOs()  # type: ignore[assignment]
    slot.transaction = transaction  # type: ignore[assignment]
    Slot._publish = publish  # type: ignore[method-assign]


def shorten() -> None:
    """Take the worker's times from the environment."""
    for name, module in SECONDS.items():
        if name in os.environ:
            setattr(module, name, float(os.environ[name]))
    if delays := os.environ.get("RETRY_DELAYS_S"):
        slot.RETRY_DELAYS_S = tuple(map(float, delays.split(",")))  # type: ignore[assignment]


real_transaction = slot.transaction
real_publish = Slot._publish

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s")
    shorten()
    place_faults()
    worker.run(create_app().config)
