"""Rendered files become outputs: first durable, then visible, in one transaction with their rows.

An output's id and name are derived from its file and number, so rendering it again after a
crash between rename and commit gives the same name, and the same bytes.
"""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from jobserver import render
from jobserver.db import Connection, claiming, exclusive
from jobserver.files.keys import output_id, output_name
from jobserver.files.store import Staged, Store
from jobserver.jobs import queue
from jobserver.jobs.model import Claim, SourceFacts
from jobserver.jobs.queue import NewOutput

PIECE_SIZE = 1024 * 1024


class Rendered(NamedTuple):
    """A whole variation in the claim's scratch folder. seconds: that rendering took."""

    output: render.Output
    seconds: float


class Staging(NamedTuple):
    """An output whose bytes are durable, and the files that become visible with its row."""

    row: NewOutput
    files: list[Staged]


def stage(store: Store, claim: Claim, rendered: Rendered, made_with: str) -> Staging:
    """Make one output and its picture durable; nothing is visible yet."""
    parameters = rendered.output.parameters
    assert parameters is not None  # noqa: S101  only benchmarks render without
    path, thumbnail, number = rendered.output.path, rendered.output.thumbnail, parameters.index
    name = output_name(claim.id, claim.name, number)
    picture = None if thumbnail is None else str(Path(name).with_suffix(".webp"))
    files = [store.put(path, _place(store, claim, name))]
    if thumbnail is not None and picture is not None:
        place = _place(store, claim, picture)
        files.insert(0, store.put(thumbnail, place, sync=False))
    row = NewOutput(
        id=output_id(claim.id, number),
        number=number,
        name=name,
        size=path.stat().st_size,
        sha256=sha256_of(path),
        crc32=crc32_of(path),
        parameters=parameters.values,
        seconds=rendered.seconds,
        thumbnail=picture,
        made_with=made_with,
        place=files[-1].key,
        thumbnail_place=files[0].key if picture else None,
    )
    return Staging(row, files)


def publish(
    db: Connection,
    store: Store,
    claim: Claim,
    staged: Sequence[Staging],
    *,
    progress: float,
    last: bool,
    now: Callable[[], float],
) -> bool:
    """Show outputs and end the claim; False, and nothing is shown, when the file was lost.

    progress: 0 to 1, of the file with these outputs. last: nothing is missing any more. `now` is
    read once inside the transaction: nobody can claim or cancel the file meanwhile, so no one
    who lost it renames.
    """
    files = [file for each in staged for file in each.files]
    with exclusive(db, "publish"):
        moment = now()
        if last:
            held = queue.finish(db, claim, moment)
        else:
            held = queue.release(db, claim, progress, moment)
        if held:
            store.publish(files)
            queue.insert_outputs(db, claim, [each.row for each in staged], moment)
    if not held:  # never after an error: the COMMIT may have been heard, and its answer lost
        store.withdraw(files)
    return held


def publish_source(
    db: Connection, store: Store, claim: Claim, *, facts: SourceFacts, picture: Path | None
) -> None:
    """Record what a source is and show its picture, unless the file was lost."""
    staged = []
    if picture is not None:
        place = _place(store, claim, picture.name)
        staged.append(store.put(picture, place, sync=False))
        facts = facts._replace(thumbnail_place=place)
    with claiming(db):
        held = queue.record_source(db, claim, facts)
        if held:
            store.publish(staged)
    if not held:
        store.withdraw(staged)


def _place(store: Store, claim: Claim, name: str) -> str:
    return store.place(name, job_id=claim.job_id, file_id=claim.id, claim_token=claim.claim_token)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32_of(path: Path) -> int:
    """Return the CRC-32 of a file, as a ZIP notes it."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_SIZE):
            crc = zlib.crc32(piece, crc)
    return crc
