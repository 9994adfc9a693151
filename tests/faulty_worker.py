"""A worker with shortened times and, if asked, a fault: `python -m tests.faulty_worker`.

LEASE_S, HEARTBEAT_S, BEAT_S, KEPT_S, IDLE_S, LOCK_TIMEOUT_S, HOUSEKEEPING_S and
RETRY_DELAYS_S (comma-separated) in the environment replace the worker's own. WORKER_FAULT is
`step:KILL` or `step:STOP`: which signal the process sends itself when it reaches that step for
the first time. `step:FFMPEG`: it kills the first ffmpeg of that step instead.

Steps, in their sequence: claimed (committed, no heartbeat yet); probing and rendering (ffmpeg has
begun to work); written (outputs whole, none durable or renamed); renaming (the first of a group
is renamed); renamed (all are, not committed); committed. In the stages of a file of a brief they
are named after the stage: `probe.probing`, `shots.rendering`, `joins.renamed`. Of a webhook:
delivering (claimed, not connected yet), answered (not recorded), recorded.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from jobserver import create_app, render
from jobserver.files import local
from jobserver.folders import prepare_folders
from jobserver.jobs import stages, workers
from jobserver.render import ffmpeg
from jobserver.worker import (
    attempt,
    deliveries,
    group,
    heartbeat,
    idling,
    maintenance,
    outputs,
    parts,
    process,
    publish,
    render_thread,
    shots,
)
from jobserver.worker.deliveries import Deliveries
from jobserver.worker.heartbeat import Heartbeat
from jobserver.worker.maintenance import Housekeeper
from jobserver.worker.presence import Presence
from jobserver.worker.units import Units

SECONDS = {
    "LEASE_S": heartbeat,
    "HEARTBEAT_S": heartbeat,
    "BEAT_S": workers,
    "KEPT_S": workers,
    "IDLE_S": idling,
    "LOCK_TIMEOUT_S": render_thread,
    "HOUSEKEEPING_S": maintenance,
}
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}
IN_TRANSACTION = ("renaming", "renamed")  # steps at which no other thread holds the database

_render_call = threading.local()  # `step`: which of render's calls this thread is in
_unit = threading.local()  # `stage`: of the file of a brief that this thread works on, and a dot
_database_use = threading.Lock()  # held while the heartbeat or the housekeeping may write


class Fault:
    """Sends the signal once, at its step."""

    def __init__(self, text: str) -> None:
        self._step, _, action = text.partition(":")
        self._signal = SIGNALS.get(action)
        self._kills_ffmpeg = action == "FFMPEG"

    def reach(self, step: str) -> None:
        """Send the signal to this very thread, which takes it before it runs on.

        A signal to the process may be given to another thread, and the process stops only once
        that one is scheduled: on a busy machine this one has gone on by then. Nor does it stop
        while another thread of it holds the database, which would lock out everybody else.
        Source: https://man7.org/linux/man-pages/man7/signal.7.html
        """
        if getattr(_unit, "stage", "") + step != self._step or self._signal is None:
            return
        number, self._signal = self._signal, None
        with nullcontext() if step in IN_TRANSACTION else _database_use:
            signal.pthread_kill(threading.get_ident(), number)

    def takes_ffmpeg(self, step: str) -> bool:
        """Return once whether an ffmpeg that has begun is to be killed."""
        taken = self._kills_ffmpeg and getattr(_unit, "stage", "") + step == self._step
        self._kills_ffmpeg = self._kills_ffmpeg and not taken
        return taken


fault = Fault(os.environ.get("WORKER_FAULT", ""))


class FaultyOs:
    """`os` as the store sees it: that an output has been renamed is a step."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def rename(self, *paths: Any) -> None:
        os.rename(*paths)
        if str(paths[1]).endswith(".mp4") or getattr(_unit, "stage", ""):
            fault.reach("renaming")


def reached_before(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        fault.reach(step)
        return call(*args, **named)

    return called


def reached_after(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    def called(*args: Any, **named: Any) -> Any:
        result = call(*args, **named)
        fault.reach(step)
        return result

    return called


def reached_within(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    """Return the call of render with a step at the first line its ffmpeg writes."""

    def called(*args: Any, **named: Any) -> Any:
        _render_call.step = step
        try:
            result = call(*args, **named)
            return list(result) if isinstance(result, Iterator) else result
        finally:
            _render_call.step = ""

    return called


def reached_at_output(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return ffmpeg.run with the step of the current call at each line of output."""

    def called(
        command: Any, limits: Any, access: Any, on_line: Callable[[bytes], bool], **named: Any
    ) -> Any:
        def reach_then_read(line: bytes) -> bool:
            fault.reach(getattr(_render_call, "step", ""))
            return on_line(line)

        return run(command, limits, access, reach_then_read, **named)

    return called


def killed_at_its_start(process: Callable[..., Any]) -> Callable[..., Any]:
    """Return the context of an ffmpeg that runs, which a fault kills at once."""

    @contextmanager
    def called(*args: Any) -> Iterator[Any]:
        with process(*args) as begun:
            if fault.takes_ffmpeg(getattr(_render_call, "step", "")):
                begun.kill()
            yield begun

    return called


def using_database(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call of another thread, at which no step outside a transaction is reached."""

    def called(*args: Any, **named: Any) -> Any:
        with _database_use:
            return call(*args, **named)

    return called


@contextmanager
def exclusive(db: Any, lock: Any) -> Iterator[None]:
    """Publish as the worker does; `renamed` is before the commit, `committed` after it."""
    with real_exclusive(db, lock):
        yield
        fault.reach("renamed")
    fault.reach("committed")


def noting_stage(work: Callable[..., bool]) -> Callable[..., bool]:
    """Return Units.work with the stage of the file of a brief before the names of its steps."""

    def called(units: Units, held: Any) -> bool:
        names = {stages.PROBE: "probe.", stages.SHOTS: "shots.", stages.JOINS: "joins."}
        _unit.stage = "" if held.claim.planned is None else names[held.claim.stage]
        try:
            return work(units, held)
        finally:
            _unit.stage = ""

    return called


def place_faults() -> None:
    """Put the steps around what the worker calls."""
    Heartbeat.renewing = reached_before(Heartbeat.renewing, "claimed")  # type: ignore[method-assign]
    render.probe = reached_within(render.probe, "probing")
    render.render = reached_within(render.render, "rendering")
    ffmpeg.run = reached_at_output(ffmpeg.run)
    ffmpeg._process = killed_at_its_start(ffmpeg._process)
    render.render_shots = reached_within(render.render_shots, "rendering")
    render.render_sounds = reached_within(render.render_sounds, "sounding")
    outputs.join = reached_within(outputs.join, "rendering")
    group.stage = reached_before(group.stage, "written")
    parts.Prober._put = reached_before(parts.Prober._put, "written")  # type: ignore[method-assign]
    shots.ShotRenderer._put = reached_before(  # type: ignore[method-assign]
        shots.ShotRenderer._put, "written"
    )
    outputs.stage_files = reached_before(outputs.stage_files, "written")
    Units.work = noting_stage(Units.work)  # type: ignore[method-assign]
    local.os = FaultyOs()  # type: ignore[assignment]
    publish.exclusive = exclusive
    Heartbeat._renew = using_database(Heartbeat._renew)  # type: ignore[method-assign]
    Presence.beat = using_database(Presence.beat)  # type: ignore[method-assign]
    Housekeeper.round = using_database(Housekeeper.round)  # type: ignore[method-assign]
    Deliveries._start_due = using_database(Deliveries._start_due)  # type: ignore[method-assign]
    deliveries.post = reached_after(reached_before(deliveries.post, "delivering"), "answered")
    Deliveries._end = reached_after(  # type: ignore[method-assign]
        using_database(Deliveries._end), "recorded"
    )


def shorten_times() -> None:
    """Take the worker's times from the environment."""
    for name, module in SECONDS.items():
        if name in os.environ:
            setattr(module, name, float(os.environ[name]))
    heartbeat.HEARTBEAT_ON_MANY_HOSTS_S = heartbeat.HEARTBEAT_S
    deliveries.LEASE_S, deliveries.IDLE_S = heartbeat.LEASE_S, idling.IDLE_S
    idling.IDLE_ON_MANY_HOSTS_S = (idling.IDLE_S, idling.IDLE_S)
    if delays := os.environ.get("RETRY_DELAYS_S"):
        attempt.RETRY_DELAYS_S = tuple(map(float, delays.split(",")))  # type: ignore[assignment]


real_exclusive = publish.exclusive

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s")
    shorten_times()
    place_faults()
    app = create_app()
    prepare_folders(app.extensions["settings"])
    process.run(app.extensions["settings"], app.extensions["store"])
