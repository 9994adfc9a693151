"""jobserver with a fault in its way: `Server.wsgi = "tests.faults:app"`.

A request names its faults in the header X-Fault, for example `rename:3:KILL` or
`write:1:SHORT,write:2:ENOSPC`: at which step of this request (counted from 1, each kind of
step by itself) what happens. Other requests are served as ever.

How many writes a body takes depends on how it arrives, so a number of a write says no more
than that it is one of this request's. A SHORT write takes half of its bytes; LOST takes half
and says that it took all.

Steps are the calls of `os` that the local store makes (open, write, fstat, fdatasync, rename,
fsync) and those of the database: begin (before it), commit (before it), committed (after it).

IDEMPOTENCY_LEASE_S in the environment: how long a request holds its key, in seconds.
"""

import errno
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from jobserver.db import sqlite
from jobserver.files import durability, local, part_file
from jobserver.jobs import idempotency
from wsgi import app as real_app

WHOLE = 1 << 30  # pages: as many as SQLite likes
FILE_STEPS = frozenset({"open", "write", "fstat", "fdatasync", "rename", "fsync"})

_request = threading.local()


class Request:
    """The faults of one request, and how far it has come."""

    def __init__(self, header: str) -> None:
        faults = (fault.split(":") for fault in header.split(",") if fault)
        self._faults = {(step, int(number)): action for step, number, action in faults}
        self._counts: Counter[str] = Counter()

    def reach(self, step: str) -> str | None:
        """Count one more of `step`; return the fault that is due there."""
        self._counts[step] += 1
        return self._faults.get((step, self._counts[step]))


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Serve one request with the faults it asks for."""
    _request.now = Request(environ.get("HTTP_X_FAULT", ""))
    try:
        return real_app(environ, start_response)
    finally:
        del _request.now


def _reach(step: str) -> str | None:
    fault = _request.now.reach(step) if hasattr(_request, "now") else None
    if fault == "KILL":
        os.killpg(os.getpgid(0), signal.SIGKILL)
        signal.pause()  # never a step further
    if fault == "STOP":  # at this very step, until somebody sends SIGCONT
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    if fault is not None and fault in errno.errorcode.values():
        number = getattr(errno, fault)
        raise OSError(number, os.strerror(number))
    return fault


class FaultyOs:
    """`os` as the local store sees it."""

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return partial(self._call, name, call) if name in FILE_STEPS else call

    @staticmethod
    def _call(step: str, call: Callable[..., Any], *args: Any) -> Any:
        fault = _reach(step)
        if fault in ("SHORT", "LOST"):
            descriptor, content = args
            taken = call(descriptor, content[: len(content) // 2])
            return taken if fault == "SHORT" else len(content)
        return call(*args)


class FaultyConnection(sqlite.SqliteConnection):
    """A connection whose transactions are steps; FULL at `begin` leaves it no page to add."""

    def execute(self, sql: str, *args: Any) -> Any:
        if sql == "COMMIT":
            _reach("commit")
        if sql == "BEGIN IMMEDIATE":
            fault = _reach("begin")
            (used,) = tuple(super().execute("PRAGMA page_count").fetchone())
            # PRAGMA takes no parameters
            super().execute(f"PRAGMA max_page_count = {used if fault == 'FULL' else WHOLE}")
        cursor = super().execute(sql, *args)
        if sql == "COMMIT":
            _reach("committed")
        return cursor


local.os = part_file.os = durability.os = FaultyOs()  # type: ignore[assignment]
sqlite.SqliteConnection = FaultyConnection  # type: ignore[misc]
idempotency.LEASE_S = float(os.environ.get("IDEMPOTENCY_LEASE_S", idempotency.LEASE_S))
