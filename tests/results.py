"""Jobs with outputs that no worker had to render, and the check after whatever removed some."""

import hashlib
import time
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from jobserver.db import connect, transaction
from jobserver.ids import generate_id
from jobserver.jobs import store
from jobserver.jobs.output import output_id, output_name
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
) -> Job:
    """Put a job's files and rows where a server and a worker would have put them."""
    now = time.time() if created_at is None else created_at
    outputs = Path(server.settings["OUTPUT_DIR"])
    with closing(connect(server.database)) as db:
        job_id = generate_id()
        uploads = [_upload(server, clip) for clip in clips or (Clip(),)]
        store.insert_job(db, job_id, uploads, store.Order(variations, "subtle", 7), 0, now)
        made = Job(job_id, [], [])
        for clip, file in zip(clips or (Clip(),), store.files_of(db, job_id), strict=True):
            _finish(db, file, clip, now if ended_at is None else ended_at)
            rows = [
                published(outputs / job_id, file, n, content)
                for n, content in enumerate(clip.outputs, 1)
            ]
            with transaction(db):
                store.insert_outputs(db, file, rows, now if ended_at is None else ended_at)
            made.outputs.extend(each.id for each in rows)
            made.paths.extend(outputs / job_id / each.name for each in rows)
    return made


def _upload(server: Server, clip: Clip) -> store.Upload:
    file_id = generate_id()
    server.upload_dir.mkdir(exist_ok=True)
    with (server.upload_dir / f"{file_id}.mp4").open("wb") as file:
        file.truncate(clip.size)
    return store.Upload(file_id, clip.name, f"{file_id}.mp4", clip.size)


def _finish(db, file, clip: Clip, ended_at: float) -> None:
    ended = clip.status not in ("queued", "processing")
    with transaction(db):
        db.execute(
            "UPDATE job_file SET status = :status, finished_at = :at, error = :error, token = 1,"
            " lease_until = :lease, sha256 = 'of the source' WHERE id = :id",
            {
                "id": file["id"],
                "status": clip.status,
                "at": ended_at if ended else None,
                "error": "It failed." if clip.status == "failed" else None,
                "lease": ended_at + 30 if clip.status == "processing" else 0,
            },
        )


def published(folder: Path, file, number: int, content: bytes | int) -> store.Published:
    """Write one output and its picture under their final names; return what a row tells."""
    folder.mkdir(parents=True, exist_ok=True)
    name = output_name(file, number)
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
    return store.Published(
        output_id(file, number),
        number,
        name,
        size,
        sha256.hexdigest(),
        crc32,
        {"zoom": 0.01 * number},
        1.0,
        thumbnail,
        "jobserver 0.1.0; ffmpeg version 9.0; libx264",
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
    assert server.rows("PRAGMA integrity_check") == [("ok",)]
