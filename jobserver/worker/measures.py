"""How far outputs are from their source and from each other, computed when they are published.

Only the claim of a file publishes its outputs, so its siblings cannot change meanwhile, but for
those whose files somebody removed.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs import differences
from jobserver.jobs.differences import Hashed, Nearest
from jobserver.jobs.model import Claim
from jobserver.render import Fingerprint
from jobserver.render.measure import distance, distances, opening
from jobserver.worker.publish import Staging

DIGITS = 2  # of bits as they are kept and shown: a label is judged by what is shown


class Compared(NamedTuple):
    """Outputs whose rows say which sibling is nearest, and what changes for those before them."""

    staged: list[Staging]
    changed: list[Nearest]


def encoded(hashes: bytes) -> str:
    """Return hashes as rows keep them."""
    return b64encode(hashes).decode()


def picture_of(db: Connection, file_id: str) -> Fingerprint | None:
    """Return what is kept of a source's picture, if it is known."""
    kept = differences.picture(db, file_id)
    return Fingerprint.from_bytes(b64decode(kept)) if kept else None


def keep(db: Connection, claim: Claim, compared: "Compared", picture: Fingerprint | None) -> None:
    """Write what publishing outputs changes of their siblings, and the source's picture if given.

    In the transaction that ended the claim and said that it was held.
    """
    differences.set_nearest(db, compared.changed)
    keep_picture(db, claim, picture)


def keep_picture(db: Connection, claim: Claim, picture: Fingerprint | None) -> None:
    """Write what is kept of a claimed source's picture, if it was not known before."""
    if picture is not None:
        differences.keep_picture(db, claim, encoded(picture.to_bytes()))


def with_source(staged: Staging, hashes: bytes | None, source: Fingerprint | None) -> Staging:
    """Say in the row of an output how it looks and how far it is from its source."""
    if hashes is None:
        return staged
    row = staged.row._replace(hashes=encoded(hashes))
    if source is not None:
        row = row._replace(
            source_bits=round(distance(source.hashes, hashes), DIGITS),
            opening_bits=round(opening(source.hashes, hashes), DIGITS),
        )
    return staged._replace(row=row)


def compare(
    db: Connection,
    file_id: str,
    staged: Sequence[Staging],
    *,
    hashes: Sequence[bytes],
    source: Fingerprint | None,
) -> Compared:
    """Compare new outputs of a file with their source and their siblings."""
    pairs = zip(staged, hashes, strict=True)
    described = [with_source(each, picture, source) for each, picture in pairs]
    return with_siblings(db, file_id, described)


def with_siblings(db: Connection, file_id: str, staged: Sequence[Staging]) -> Compared:
    """Compare new outputs of a file with each other and with those that it has."""
    kept = differences.hashed_outputs(db, file_id)
    made = [Hashed(each.row.id, each.row.hashes) for each in staged if each.row.hashes]
    nearest = {each.id: each for each in _nearest([*kept, *made], len(kept))}
    new = [_with_nearest(each, nearest) for each in staged]
    return Compared(new, [nearest[each.id] for each in kept if each.id in nearest])


def _with_nearest(staged: Staging, nearest: dict[str, Nearest]) -> Staging:
    found = nearest.get(staged.row.id)
    if found is None:
        return staged
    row = staged.row._replace(nearest_bits=found.nearest_bits, nearest_output=found.nearest_output)
    return staged._replace(row=row)


def _nearest(every: Sequence[Hashed], known: int) -> Iterator[Nearest]:
    """Yield the nearest sibling of each output where it is another one than before.

    known: how many of them were there before the others.
    """
    ids = {each.id for each in every}
    clips = [b64decode(each.hashes) for each in every]
    lacking = [n for n, each in enumerate(every) if n >= known or each.nearest_output not in ids]
    found = distances([clips[n] for n in lacking], clips)
    rows = dict(zip(lacking, found, strict=True))
    for place, each in enumerate(every):
        if place in rows:
            others = [(n, bits) for n, bits in enumerate(rows[place]) if n != place]
        else:
            others = [(n, rows[n][place]) for n in range(known, len(every))]
        if not others:
            continue
        other, bits = min(others, key=itemgetter(1))
        if place in rows or each.nearest_bits is None or round(bits, DIGITS) < each.nearest_bits:
            yield Nearest(each.id, round(bits, DIGITS), every[other].id)
