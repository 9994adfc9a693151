"""jobserver for gunicorn, with the steps of an upload: `gunicorn tests.cluster.faulty_web:app`.

Steps, in their sequence: receiving (a first part is about to be sent), completing (all parts of
all files are there), completed (the first file is, perhaps not the others), commit (the rows are
written, not committed), committed (the client has no answer yet).
"""

import threading
from typing import Any

from jobserver.db.postgres.connection import PostgresConnection
from jobserver.files.s3.client import PartUploads
from jobserver.jobs import queue
from tests.cluster import armed
from wsgi import app

_thread = threading.local()  # `inserts`: whether its transaction has queued a job


def _insert_job(*args: Any, **named: Any) -> None:
    _real_insert(*args, **named)
    _thread.inserts = True


def _commit(db: PostgresConnection) -> None:
    inserts, _thread.inserts = getattr(_thread, "inserts", False), False
    if inserts:
        armed.reach("commit")
    _real_commit(db)
    if inserts:
        armed.reach("committed")


_real_insert, _real_commit = queue.insert_job, PostgresConnection.commit
queue.insert_job = _insert_job
PostgresConnection.commit = _commit  # type: ignore[method-assign]
for name, step in (("put_part", "receiving"), ("complete", "completing")):
    setattr(PartUploads, name, armed.before(getattr(PartUploads, name), step))
PartUploads.complete = armed.after(PartUploads.complete, "completed")  # type: ignore[method-assign]

__all__ = ["app"]
