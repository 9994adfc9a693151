"""A fault that waits for a step: a file that says `step:KILL` or `step:STOP`, one a host.

The process that reaches the step takes the file away and sends itself the signal, once.
"""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEB_STEPS = ("receiving", "completing", "completed", "commit", "committed")  # faulty_web.py
WORKER_STEPS = (  # faulty_worker.py
    *("claimed", "fetching", "rendering", "putting", "put", "publishing", "committed"),
)
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}
VARIABLE = "CLUSTER_FAULT"  # the path of the file


def arm(path: Path, step: str, action: str) -> None:
    """Let the first process that reaches the step be killed, or stopped, there."""
    draft = path.with_suffix(".draft")
    draft.write_text(f"{step}:{action}")
    draft.rename(path)


def disarm(path: Path) -> bool:
    """Take a fault back; False: it has happened."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def reach(step: str) -> None:
    """Do what is armed for this step: to the thread that reached it, so that none goes on."""
    path = Path(os.environ[VARIABLE])
    try:
        wanted, _, action = path.read_text().partition(":")
    except FileNotFoundError:
        return
    if wanted == step and disarm(path):
        signal.pthread_kill(threading.get_ident(), SIGNALS[action])


def before(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    """Return the call, with a step in front of it."""

    def called(*args: Any, **named: Any) -> Any:
        reach(step)
        return call(*args, **named)

    return called


def after(call: Callable[..., Any], step: str) -> Callable[..., Any]:
    """Return the call, with a step behind it."""

    def called(*args: Any, **named: Any) -> Any:
        result = call(*args, **named)
        reach(step)
        return result

    return called
