"""The rows of `shot`: parts of a job with a brief in one appearance, which outputs are joined of.

A shot belongs to the file whose footage it shows, and its key says which appearance of which
file it is. So only the claim of that file makes it, and its row is written in the transaction
that ends the claim, which compares the claim's token: a worker that lost the file lists nothing.
Workers that join read the rows of the whole job: what they need has been committed before their
file became `ready` (stages.py).

Rows go first, then the objects: one whose row has gone is found by the sweep.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from jobserver.db import Connection
from jobserver.fault_log import FaultLog
from jobserver.files.store import Store
from jobserver.jobs.model import UNFINISHED, Claim

_faults = FaultLog(logging.getLogger(__name__))


class Shot(NamedTuple):
    """A whole shot in the store. key: of its appearance, unique in its job. place: its key in

    the store. facts: a JSON object, what was encoded.
    """

    key: str
    file_id: str
    place: str
    size: int
    facts: str


class NewShot(NamedTuple):
    """A shot that a claim has put into the store; see Shot."""

    key: str
    place: str
    size: int
    facts: Mapping[str, Any]


def of_job(db: Connection, job_id: str) -> dict[str, Shot]:
    """Return the shots of a job by their keys."""
    query = "SELECT key, file_id, place, size, facts FROM shot WHERE job_id = :id"
    return {shot.key: shot for shot in db.all(Shot, query, {"id": job_id})}


def insert(db: Connection, claim: Claim, shots: Iterable[NewShot], now: float) -> None:
    """List the shots of a claim, in the transaction that ended it and said that it was held."""
    rows = [
        {
            **shot._asdict(),
            "facts": json.dumps(dict(shot.facts)),
            "job_id": claim.job_id,
            "file_id": claim.id,
            "now": now,
        }
        for shot in shots
    ]
    db.write_many(
        """INSERT INTO shot (job_id, file_id, key, place, size, facts, created_at)
           VALUES (:job_id, :file_id, :key, :place, :size, :facts, :now)""",
        rows,
    )


def drop(db: Connection, job_id: str, keys: Collection[str]) -> list[str]:
    """Forget these shots of a job; return the places of those that were there."""
    query = "DELETE FROM shot WHERE job_id = :id AND key = :key RETURNING place"
    return [place for key in keys for place in db.column(query, {"id": job_id, "key": key})]


def drop_unneeded(db: Connection, job_id: str) -> list[str]:
    """Forget the shots that no output will be made of any more; return their places.

    Those of a video that has ended, of a part that has failed, and all once no video is unfinished.
    """
    query = f"""
        DELETE FROM shot WHERE job_id = :id AND (
            EXISTS (SELECT 1 FROM job_file WHERE id = shot.file_id
                    AND (status IN ('failed', 'cancelled')
                         OR role = 'video' AND status = 'completed'))
            OR NOT EXISTS (SELECT 1 FROM job_file WHERE job_id = :id AND role = 'video'
                           AND status IN {UNFINISHED}))
        RETURNING place"""  # noqa: S608
    return db.column(query, {"id": job_id})


def delete_files(store: Store, places: Iterable[str]) -> None:
    """Delete shots whose rows have gone, after the commit; the sweep finds what stays."""
    for place in places:
        try:
            store.delete(place)
        except OSError as error:
            _faults.seen("shot", f"a shot could not be deleted yet: {error}")
            return
    _faults.over("shot")
