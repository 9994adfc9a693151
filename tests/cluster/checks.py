"""What must hold once all faults are over: each promise kept once, and nothing left over."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple
from unittest.mock import patch

from jobserver import db, store_of
from jobserver.files.keys import source_key
from jobserver.files.s3.cleanup import Ages
from jobserver.jobs import standing, sweep
from jobserver.settings import load_settings
from tests.bucket import BUCKET
from tests.cluster.clients import Promise
from tests.cluster.faulty_worker import content
from tests.cluster.roles import Jobserver

GAVE_UP = "attempts failed"


class Row(NamedTuple):
    """A file, or an output of one."""

    job_id: str
    file_id: str
    key: str
    size: int
    sha256: str | None
    number: int = 0


class Found(NamedTuple):
    """What there is. wrong: sentences; gave_up: files that three kills ended, as promised."""

    wrong: list[str]
    jobs: int
    outputs: int
    unanswered: int
    gave_up: int
    swept: int


class Checks:
    """Looks at the rows and the objects of a site that rests."""

    def __init__(self, site: Jobserver, *, asleep: bool) -> None:
        """asleep: outputs are those of faulty_worker.content()."""
        self._site, self._asleep = site, asleep
        self._client = site.bucket.gateway.client()
        self._prefix = f"{site.bucket.prefix}/"

    def run(self, promises: Iterable[Promise], kills: int) -> Found:
        """Check everything; the sweep comes before what must be left is counted.

        kills: faults that may have ended an attempt. After three a file is given up, as promised.
        """
        wrong: list[str] = []
        promised = {promise.job_id: promise for promise in promises}
        rows = self._site.database.rows
        states = dict(rows("SELECT id, status FROM job_summary"))
        gave_up = rows(f"SELECT job_id FROM job_file WHERE error LIKE '%{GAVE_UP}%'")  # noqa: S608
        spared = {job_id for (job_id,) in gave_up}
        if 3 * len(gave_up) > kills:  # each took three of them
            wrong.append(f"{len(gave_up)} files were given up after {kills} kills")
        wrong += [f"{job_id} has no row" for job_id in promised if job_id not in states]
        wrong += [
            f"{job_id} is {state}"
            for job_id, state in states.items()
            if state != "completed" and job_id not in spared
        ]
        swept = self._sweep()
        wrong += [
            *self._wrong_sources(promised),
            *self._wrong_outputs(spared),
            *self._wrong_objects(),
            *self._wrong_counts(),
        ]
        outputs = rows("SELECT COUNT(*) FROM output")[0][0]
        unanswered = len(states.keys() - promised.keys())
        return Found(wrong, len(states), outputs, unanswered, len(gave_up), swept)

    def _wrong_sources(self, promised: dict[str, Promise]) -> Iterator[str]:
        query = "SELECT job_id, id, stored_name, size, sha256 FROM job_file ORDER BY position"
        sums: dict[str, list[str]] = {}
        for job_id, file_id, stored_name, size, sha256 in self._site.database.rows(query):
            row = Row(job_id, file_id, source_key(stored_name), size, sha256)
            body = self._read(row.key)
            if body is None or len(body) != size:
                yield f"{row.key} is missing, or not of {size} bytes"
                continue
            sums.setdefault(job_id, []).append(hashlib.sha256(body).hexdigest())
        for job_id, promise in promised.items():
            if sums.get(job_id) != promise.sources:
                yield f"the files of {job_id} are not those that were sent"

    def _wrong_outputs(self, spared: set[str]) -> Iterator[str]:
        query = """
            SELECT job_id, file_id, place, output.size, output.sha256, number, file.sha256,
                   variations_per_video
            FROM output JOIN job_file AS file ON file.id = file_id JOIN job ON job.id = job_id"""
        numbers: dict[str, list[int]] = {}
        wanted = {
            file_id: variations
            for file_id, variations, job_id in self._site.database.rows(
                """SELECT file.id, variations_per_video, job_id
                   FROM job_file AS file JOIN job ON job.id = job_id"""
            )
            if job_id not in spared
        }
        for *fields, source_sum, _ in self._site.database.rows(query):
            row = Row(*fields)
            numbers.setdefault(row.file_id, []).append(row.number)
            body = self._read(row.key)
            if body is None:
                yield f"{row.key} is missing"
            elif (len(body), hashlib.sha256(body).hexdigest()) != (row.size, row.sha256):
                yield f"{row.key} is not what its row says"
            elif self._asleep and body != content(source_sum, row.number):
                yield f"{row.key} is not variation {row.number} of its source"
        for file_id, variations in wanted.items():
            if sorted(numbers.get(file_id, ())) != list(range(1, variations + 1)):
                yield f"file {file_id} has the variations {numbers.get(file_id)} of {variations}"

    def _wrong_objects(self) -> Iterator[str]:
        """After the sweep: what no row names, and what was only begun."""
        listed = self._listed()
        stored = {key.removeprefix(self._prefix) for key in self._keys()} - {".database"}
        yield from (f"{key} belongs to nobody" for key in stored - listed)
        yield from (f"{key} is named and missing" for key in listed - stored)
        begun = self._client.list_multipart_uploads(Bucket=BUCKET, Prefix=self._prefix)
        yield from (f"{each['Key']} is half sent" for each in begun.get("Uploads", ()))

    def _wrong_counts(self) -> Iterator[str]:
        with closing(db.connect(self._site.database.local_url)) as database:
            unfinished = "SELECT COUNT(*) FROM job_file WHERE status IN ('queued', 'processing')"
            if database.value("SELECT files FROM queue_length") != database.value(unfinished):
                yield "the length of the queue is wrong"
            if mended := standing.mend(database):
                yield f"where {mended} jobs stand is wrong"
            if left := database.value("SELECT COUNT(*) FROM queue_sum"):
                yield f"{left} sums are left of an empty queue"

    def _sweep(self) -> int:
        """Sweep as a worker does, of any age; return how much that removes."""
        environment = self._site.environment()
        names = ("STORAGE_URL", "AUTH_PASSWORD", "SECRET_KEY", "SCRATCH_DIR")
        given: dict[str, Any] = {name: environment[name] for name in names}
        settings = load_settings(
            self._site.folder, {**given, "DATABASE_URL": self._site.database.local_url}
        )
        store = store_of(settings)
        store.ages = Ages(orphan=0, longest_upload=0)  # type: ignore[attr-defined]
        with (
            patch.dict(os.environ, self._site.bucket.gateway.environment),
            closing(db.connect(self._site.database.local_url)) as database,
        ):
            return sweep.sweep_uploads(database, store) + sweep.sweep_outputs(database, store)

    def _listed(self) -> set[str]:
        with closing(db.connect(self._site.database.local_url)) as database:
            sources = database.column("SELECT stored_name FROM job_file")
            outputs = sweep.listed_names(database)
        named = {f"outputs/{job_id}/{name}" for job_id, names in outputs.items() for name in names}
        return named | {source_key(name) for name in sources}

    def _keys(self) -> set[str]:
        return self._site.bucket.gateway.keys(self._prefix)

    def _read(self, key: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=BUCKET, Key=self._prefix + key)
        except self._client.exceptions.NoSuchKey:
            return None
        return bytes(answer["Body"].read())
