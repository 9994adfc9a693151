"""A job that is rendered step by step, as workers would: claims, publications, failures."""

import time
from contextlib import closing
from pathlib import Path

from jobserver.db import claiming, connect, exclusive
from jobserver.files.local import LocalStore
from jobserver.ids import generate_id
from jobserver.jobs import queries, queue
from jobserver.jobs.model import Claim, JobDraft, JobOptions, NewFile, SourceFacts
from jobserver.jobs.sweep import forget_missing
from tests.results import published
from tests.support import Server

LEASE_S = 30


class GrowingJob:
    """Each step is one transaction at a time of its own; `now` goes on by a second a step."""

    def __init__(self, server: Server, *names: str, variations: int = 4) -> None:
        self._server = server
        self.id = generate_id()
        self.now = time.time() - 1000
        self._claims: dict[int, Claim] = {}
        server.upload_dir.mkdir(exist_ok=True)
        files = [self._upload(name) for name in names]
        with closing(self._db()) as db, exclusive(db, "quota"):
            draft = JobDraft(self.id, files, JobOptions(variations, "subtle", 7))
            queue.insert_job(db, draft, self.now)

    @property
    def url(self) -> str:
        return f"/api/jobs/{self.id}"

    @property
    def download(self) -> str:
        return f"{self.url}/download"

    @property
    def _outputs(self) -> Path:
        return Path(self._server.settings["OUTPUT_DIR"])

    def claim(self) -> int:
        """Claim the next file, as a worker does; return its position."""
        with closing(self._db()) as db, claiming(db):
            found = queue.claim(db, "worker", LEASE_S, self._tick())
            assert found is not None
            assert found.job_id == self.id
        (position,) = self._server.rows("SELECT position FROM job_file WHERE id = ?", found.id)[0]
        self._claims[position] = found
        return position

    def record_source(self, position: int) -> None:
        facts = SourceFacts(1.0, 160, 90, "a" * 64, None)
        with closing(self._db()) as db, claiming(db):
            assert queue.record_source(db, self._claims[position], facts)

    def publish(
        self, position: int, contents: dict[int, bytes], *, last: bool = False, at: float = 0
    ) -> None:
        """Publish these variations, by number, of a claimed file. at: instead of `now`."""
        claim, now = self._claims.pop(position), at or self._tick()
        with closing(self._db()) as db:
            file = queries.files_of(db, self.id)[position]
            rows = [
                published(self._outputs / self.id, file, number, content)
                for number, content in contents.items()
            ]
            with exclusive(db, "publish"):
                held = queue.finish(db, claim, now) if last else queue.release(db, claim, 0.5, now)
                assert held
                queue.insert_outputs(db, claim, rows, now)

    def fail(self, position: int, reason: str) -> None:
        with closing(self._db()) as db, exclusive(db, "queue"):
            assert queue.fail(db, self._claims.pop(position), reason, self._tick())

    def cancel(self) -> None:
        with closing(self._db()) as db, exclusive(db, "queue"):
            assert queue.cancel(db, self.id, self._tick())
        self._claims.clear()

    def retry(self) -> None:
        with closing(self._db()) as db, exclusive(db, "queue"):
            assert queue.retry(db, self.id, self._tick())

    def lose(self, number: int, store: LocalStore) -> None:
        """Somebody deletes the file of this variation; the housekeeping notices."""
        query = """SELECT output.name FROM output JOIN job_file ON job_file.id = file_id
            WHERE job_id = ? AND number = ?"""
        for (name,) in self._server.rows(query, self.id, number):
            (self._outputs / self.id / name).unlink()
        with closing(self._db()) as db:
            assert forget_missing(db, store, self._tick())

    def render(self, *groups: tuple[int, dict[int, bytes], bool]) -> None:
        """Claim and publish group after group: position, contents by number, whether the last."""
        for position, contents, last in groups:
            assert self.claim() == position
            self.publish(position, contents, last=last)

    def _db(self):
        return connect(self._server.place)

    def _tick(self) -> float:
        self.now += 1
        return self.now

    def _upload(self, name: str) -> NewFile:
        file_id = generate_id()
        (self._server.upload_dir / f"{file_id}.mp4").write_bytes(b"source")
        return NewFile(file_id, name, f"{file_id}.mp4", 6)


def numbered(*sizes: int, first: int = 1) -> dict[int, bytes]:
    """Return contents of these sizes by number, each unlike the others."""
    return {n: bytes([64 + n]) * size for n, size in enumerate(sizes, first)}
