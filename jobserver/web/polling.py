"""A status that is asked for again: answered from one cheap read while nothing of it has changed.

The ETag of a job is made of what its JSON depends on: the job's revision, the window of its
signed links, and, until it has ended, its place, its time left and what it waits for. So an
unchanged job is known without building its JSON. Those answers do not go through Flask, whose
routing, contexts and response objects cost more than the read; whatever is unusual about a
request, or is an error, does. Both ways give the same headers.
"""

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask

from jobserver.auth.state import parse
from jobserver.db import DatabaseError, thread_connection
from jobserver.errors import InvalidToken
from jobserver.jobs.glance import Glance, glance
from jobserver.serving.log import TRACE, Trace
from jobserver.version import VERSION
from jobserver.web import bearers, reasons, schemas, shapes
from jobserver.web.auth import link_signer_of
from jobserver.web.bearers import BEARER
from jobserver.web.conditional import CACHE_CONTROL
from jobserver.web.hot_path import new_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_JOB = re.compile(r"/api/jobs/(\w{22})", re.A)
_ROUTE = "/api/jobs/<job_id>"  # its rule in jobs.py
_WITH_OUTPUTS = {"": True, "outputs=false": False}  # queries that are usual
LOOKED = "jobserver.looked"  # in the environ: what was seen of the job
_OK, _NOT_MODIFIED = "200 OK", "304 NOT MODIFIED"  # as werkzeug writes them
KEPT_SIZE = 8 * 1024 * 1024  # bytes of answers that one process keeps


def init_app(app: Flask) -> None:
    """Answer polls before Flask does."""
    app.extensions["answers"] = Answers()
    app.extensions["pieces"] = Answers()  # of which answers are built; see pieces.py
    app.wsgi_app = PollAnswers(app, app.wsgi_app)  # type: ignore[method-assign]


class Seen(NamedTuple):
    """A job as its ETag has it."""

    glance: Glance
    reason: shapes.Reason | None
    etag: str


def look(app: Flask, job_id: str, *, prefix: str, outputs: bool) -> Seen | None:
    """Return what the answer about a job depends on, or None when nothing is known of the job.

    prefix: the path that we are mounted at. outputs: whether they are shown. Raises DatabaseError.
    """
    settings = app.extensions["settings"]
    db = thread_connection(app.extensions["database"])
    with db.reading:
        found = glance(db, job_id, db.clock())
    if found is None:
        return None
    reason = reasons.of_job(found, settings)
    # also of the keys that sign, of its window, and of the sessions that it was made for
    link = link_signer_of(app, time.time(), parse(found.auth).generation)(f"/api/jobs/{job_id}")
    parts = (VERSION, prefix, link, outputs, settings.job_lifetime, found.revision)
    state = (found.last_event, *_of_unfinished(found, reason))
    etag = hashlib.sha256(repr((parts, state)).encode()).hexdigest()[:32]
    return Seen(found, reason, etag)


def _of_unfinished(found: Glance, reason: shapes.Reason | None) -> tuple[Any, ...]:
    estimate = found.estimate
    if estimate is None:
        return ()
    threads = 0 if reason else found.workforce.threads
    return (
        estimate.jobs_ahead if found.waits else None,
        schemas.eta_s(estimate, found.variations_left, threads),
        reason and reason["code"],
    )


class Answers:
    """The latest answers of one process by their ETags; the oldest go when it is too much."""

    def __init__(self, size: int = KEPT_SIZE) -> None:
        """size: bytes."""
        self._left, self._lock = size, threading.Lock()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def get(self, etag: str) -> bytes | None:
        """Return the body that had this ETag, or None."""
        with self._lock:
            if etag in self._bodies:
                self._bodies.move_to_end(etag)
            return self._bodies.get(etag)

    def keep(self, etag: str, body: bytes) -> None:
        """Keep a body."""
        with self._lock:
            self._left += len(self._bodies.pop(etag, b""))
            self._bodies[etag] = body
            self._left -= len(body)
            while self._left < 0:
                self._left += len(self._bodies.popitem(last=False)[1])


class PollAnswers:
    """WSGI in front of Flask: answers what is unchanged, and passes everything else on."""

    def __init__(self, app: Flask, below: "WSGIApplication") -> None:
        self._app, self._below = app, below

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        seen = self._look(environ)
        if seen is None:
            return self._below(environ, start_response)
        answers: Answers = self._app.extensions["answers"]
        etag = f'"{seen.etag}"'
        asked = environ.get("HTTP_IF_NONE_MATCH", "")
        unchanged = seen.etag in asked or asked.strip() == "*"  # no other tag contains it
        body = b"" if unchanged else answers.get(seen.etag)
        if body is None:
            environ[LOOKED] = seen  # the view need not look again
            return self._below(environ, start_response)
        headers = [
            ("Cache-Control", CACHE_CONTROL),
            ("ETag", etag),
            ("X-Request-ID", new_request_id()),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if not unchanged:
            length = ("Content-Length", str(len(body)))
            headers[:0] = [("Content-Type", "application/json"), length]
        environ[TRACE] = Trace(_ROUTE, environ["PATH_INFO"].rpartition("/")[2])
        start_response(_NOT_MODIFIED if unchanged else _OK, headers)
        return [body] if body else []

    def _look(self, environ: "WSGIEnvironment") -> Seen | None:
        """Return what a plain, allowed request for a job's status asks for, else None."""
        path = _JOB.fullmatch(environ["PATH_INFO"])
        if path is None or environ["REQUEST_METHOD"] != "GET":
            return None
        outputs = _WITH_OUTPUTS.get(environ.get("QUERY_STRING", ""))
        if outputs is None:
            return None
        try:
            authorization, now = environ.get("HTTP_AUTHORIZATION", ""), time.time()
            if not bearers.is_known(self._app, authorization, now):
                return None
            prefix = environ.get("SCRIPT_NAME", "")
            seen = look(self._app, path[1], prefix=prefix, outputs=outputs)
            auth = None if seen is None else parse(seen.glance.auth)
            bearer = bearers.check(self._app, authorization, now, auth)
        except (InvalidToken, DatabaseError):  # Flask answers those
            return None
        if "read" not in bearer.scopes:
            return None
        environ[BEARER] = bearer
        return seen
