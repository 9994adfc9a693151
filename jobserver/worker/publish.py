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
from jobserver.jobs import queue, shots, stages
from jobserver.jobs.model import Claim, SourceFacts
from jobserver.jobs.queue import NewOutput
from jobserver.render import Loudness
from jobserver.worker.heartbeat import HeldClaim

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
    """Make one variation and its picture durable; nothing is visible yet."""
    output, parameters = rendered.output, rendered.output.parameters
    assert parameters is not None  # noqa: S101  only benchmarks render without
    width, height = output.media.displayed
    staged = stage_files(
        *(store, claim, parameters.index), path=output.path, thumbnail=output.thumbnail
    )
    row = staged.row._replace(
        parameters=parameters.values,
        seconds=rendered.seconds,
        made_with=made_with,
        width=width,
        height=height,
        duration=output.media.duration,
        loudness=loudness_facts(output.measured.loudness),
    )
    return staged._replace(row=row)


def stage_files(
    store: Store, claim: Claim, number: int, path: Path, thumbnail: Path | None
) -> Staging:
    """Make the files of one output durable. Its row has yet to say what it is and took."""
    name = output_name(claim.id, claim.name, number)
    picture = None if thumbnail is None else str(Path(name).with_suffix(".webp"))
    files = [store.put(path, place_of(store, claim, name))]
    if thumbnail is not None and picture is not None:
        place = place_of(store, claim, picture)
        files.insert(0, store.put(thumbnail, place, sync=False))
    row = NewOutput(
        id=output_id(claim.id, number),
        number=number,
        name=name,
        size=path.stat().st_size,
        sha256=sha256_of(path),
        crc32=crc32_of(path),
        parameters={},
        seconds=0.0,
        thumbnail=picture,
        made_with="",
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
    also: Callable[[], None] = lambda: None,
) -> bool:
    """Show outputs and end the claim; False, and nothing is shown, when the file was lost.

    also: writes what else changes with them.

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
            also()
    if not held:  # never after an error: the COMMIT may have been heard, and its answer lost
        store.withdraw(files)
    return held


def end_claim(
    db: Connection,
    store: Store,
    held: HeldClaim,
    files: Sequence[Staged],
    end: Callable[[float], bool],
) -> bool:
    """End the claim of a file of a brief and show what it made; the others of its job follow.

    end: called in the transaction with its time; writes what is to be written of the file, and
    returns whether it was held. False, and nothing is shown, when it was lost.
    """
    claim, settled = held.claim, None
    with exclusive(db, "publish"):
        stages.lock_files(db, claim.job_id)
        moment = db.clock()
        if end(moment):
            store.publish(files)
            settled = stages.settle(db, claim.job_id, moment)
    if settled is None:  # never after an error, as in publish()
        store.withdraw(files)
        return False
    held.raised = settled.raised
    shots.delete_files(store, settled.unneeded)
    return True


def publish_source(
    db: Connection, store: Store, claim: Claim, *, facts: SourceFacts, picture: Path | None
) -> None:
    """Record what a source is and show its picture, unless the file was lost."""
    staged = []
    if picture is not None:
        place = place_of(store, claim, picture.name)
        staged.append(store.put(picture, place, sync=False))
        facts = facts._replace(thumbnail_place=place)
    with claiming(db):
        held = queue.record_source(db, claim, facts)
        if held:
            store.publish(staged)
    if not held:
        store.withdraw(staged)


def place_of(store: Store, claim: Claim, name: str) -> str:
    """Return the key under which a claim puts a file of this name."""
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


def loudness_facts(found: Loudness | None) -> dict[str, float | bool] | None:
    """Return how loud an output is, as its row keeps it; None of silence."""
    if found is None:
        return None
    said = {"integrated": found.integrated, "truePeak": found.true_peak}
    return said | ({"limited": True} if found.limited else {})
