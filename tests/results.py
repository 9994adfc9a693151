"""Jobs with outputs that no worker had to render, and the check after whatever removed some."""

import hashlib
import time
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from jobserver.db import Connection, connect, exclusive
from jobserver.files.keys import output_id, output_name
from jobserver.ids import generate_id
from jobserver.jobs import queries, queue
from jobserver.jobs.model import Claim, File, JobDraft, JobOptions, NewFile
from jobserver.jobs.queue import NewOutput
from tests.support import Server

ZEROS = bytes(16 * 1024 * 1024)


class Clip(NamedTuple):
    """A source and what came of it: bytes, or the size of a sparse file."""

    name: str = "clip.mp4"
    outputs: Sequence[bytes | int] = (b"first output", b"second one")
    status: str = "completed"
    size: int = 100  # of the source, bytes


class Job(NamedTuple):
    id: str
    outputs: list[str]  # ids
    paths: list[Path]  # of the outputs

    @property
    def url(self) -> str:
        return f"/api/jobs/{self.id}"

    @property
    def download(self) -> str:
        return f"{self.url}/download"

    def output(self, n: int = 0) -> str:
        return f"{self.url}/outputs/{self.outputs[n]}"


def make_job(
    server: Server,
    *clips: Clip,
    created_at: float | None = None,
    ended_at: float | None = None,
    variations: int = 5,
    title: str | None = None,
    axes: dict[str, Any] | None = None,
    measured: dict[str, Any] | None = None,
) -> Job:
    """Put a job's files and rows where a server and a worker would have put them.

    measured: what NewOutput has of each output beside its axes.
    """
    now = time.time() if created_at is None else created_at
    outputs = Path(server.settings["OUTPUT_DIR"])
    with closing(connect(server.place)) as db:
        job_id = generate_id()
        files = [_upload(server, clip) for clip in clips or (Clip(),)]
        draft = JobDraft(job_id, files, JobOptions(variations, "subtle", 7), title=title)
        with exclusive(db, "quota"):
            queue.insert_job(db, draft, now)
        made = Job(job_id, [], [])
        for clip, file in zip(clips or (Clip(),), queries.files_of(db, job_id), strict=True):
            _finish(db, file, clip, now if ended_at is None else ended_at)
            rows = [
                published(outputs / job_id, file, n, content)._replace(axes=axes, **measured or {})
                for n, content in enumerate(clip.outputs, 1)
            ]
            with exclusive(db, "publish"):
                queue.insert_outputs(
                    db, claim_of(file), rows, now if ended_at is None else ended_at
                )
            made.outputs.extend(each.id for each in rows)
            made.paths.extend(outputs / job_id / each.name for each in rows)
    return made


def claim_of(file: File) -> Claim:
    """The claim that a worker would have had of this file."""
    return Claim(
        id=file.id,
        job_id=file.job_id,
        claim_token=1,
        attempts=1,
        progress=file.progress,
        name=file.name,
        stored_name=file.stored_name,
        size=file.size,
        sha256=file.sha256,
    )


def _upload(server: Server, clip: Clip) -> NewFile:
    file_id = generate_id()
    server.upload_dir.mkdir(exist_ok=True)
    with (server.upload_dir / f"{file_id}.mp4").open("wb") as file:
        file.truncate(clip.size)
    return NewFile(file_id, clip.name, f"{file_id}.mp4", clip.size)


def _finish(db: Connection, file: File, clip: Clip, ended_at: float) -> None:
    ended = clip.status not in ("queued", "processing")
    with exclusive(db, "queue"):
        db.write(
            "UPDATE job_file SET status = :status, finished_at = :at, error = :error,"
            " claim_token = 1,"
            " lease_until = :lease, sha256 = 'of the source' WHERE id = :id",
            {
                "id": file.id,
                "status": clip.status,
                "at": ended_at if ended else None,
                "error": "It failed." if clip.status == "failed" else None,
                "lease": ended_at + 30 if clip.status == "processing" else 0,
            },
        )


def published(folder: Path, file: File, number: int, content: bytes | int) -> NewOutput:
    """Write one output and its picture under their final names; return what a row says."""
    folder.mkdir(parents=True, exist_ok=True)
    name = output_name(file.id, file.name, number)
    sha256, crc32 = hashlib.sha256(), 0
    with (folder / name).open("wb") as out:
        if isinstance(content, bytes):
            out.write(content)
            sha256.update(content)
            crc32 = zlib.crc32(content)
        else:
            out.truncate(content)
            crc32 = crc32_of_zeros(content)
    size = len(content) if isinstance(content, bytes) else content
    thumbnail = name.replace(".mp4", ".webp")
    (folder / thumbnail).write_bytes(b"picture " + name.encode())
    return NewOutput(
        id=output_id(file.id, number),
        number=number,
        name=name,
        size=size,
        sha256=sha256.hexdigest(),
        crc32=crc32,
        parameters={"zoom": 0.01 * number},
        seconds=1.0,
        thumbnail=thumbnail,
        made_with="jobserver 0.1.0; ffmpeg version 9.0; libx264",
    )


def crc32_of_zeros(size: int) -> int:
    crc = 0
    for _ in range(size // len(ZEROS)):
        crc = zlib.crc32(ZEROS, crc)
    return zlib.crc32(ZEROS[: size % len(ZEROS)], crc)


def ids(server: Server) -> set[str]:
    """The jobs that the API knows."""
    return {row for (row,) in server.rows("SELECT id FROM job WHERE removed_at IS NULL")}


def check_owned(server: Server) -> None:
    """The shared check: no file without a row, no row without its whole file."""
    stored = dict(server.rows("SELECT stored_name, size FROM job_file"))
    assert {name: path.stat().st_size for name, path in server.uploads().items()} == stored
    outputs = Path(server.settings["OUTPUT_DIR"])
    files = {
        str(path.relative_to(outputs)): path.stat().st_size
        for path in outputs.glob("*/**/*")
        if path.suffix != ".webp"
    }
    listed = dict(
        server.rows(
            "SELECT job_id || '/' || output.name, output.size FROM output"
            " JOIN job_file ON job_file.id = file_id"
        )
    )
    assert files == listed
    pictures = {str(path.relative_to(outputs)) for path in outputs.glob("*/*.webp")}
    assert pictures == {
        name
        for (name,) in server.rows(
            "SELECT job_id || '/' || output.thumbnail FROM output JOIN job_file"
            " ON job_file.id = file_id WHERE output.thumbnail IS NOT NULL UNION ALL"
            " SELECT job_id || '/' || thumbnail FROM job_file WHERE thumbnail IS NOT NULL"
        )
    }
    folders = {path.name for path in outputs.iterdir() if path.is_dir()}
    assert folders <= {job_id for (job_id,) in server.rows("SELECT id FROM job")}
    server.check_database()
