"""What is kept of pictures to compare them: of outputs their hashes, of sources a little more.

Both are base64 here, and mean nothing to these rules. They are not among the columns of outputs and
files that a status reads: there may be a kilobyte a minute.
"""

from collections.abc import Iterable
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs.model import Claim


class Hashed(NamedTuple):
    """An output whose picture is known. nearest_output: its nearest sibling's id, if it has one."""

    id: str
    hashes: str
    nearest_bits: float | None = None
    nearest_output: str | None = None


class Nearest(NamedTuple):
    """Which other output of its file an output is nearest to, and by how many bits."""

    id: str
    nearest_bits: float
    nearest_output: str


def hashed_outputs(db: Connection, file_id: str) -> list[Hashed]:
    """Return the outputs of a file whose pictures are known, by number."""
    query = """
        SELECT id, hashes, nearest_bits, nearest_output FROM output
        WHERE file_id = :id AND hashes IS NOT NULL ORDER BY number"""
    return db.all(Hashed, query, {"id": file_id})


def set_nearest(db: Connection, found: Iterable[Nearest]) -> None:
    """Write which siblings are nearest, in the transaction that publishes what made the change."""
    db.write_many(
        """UPDATE output SET nearest_bits = :nearest_bits, nearest_output = :nearest_output
           WHERE id = :id""",
        [each._asdict() for each in found],
    )


def forget_nearest(db: Connection, file_id: str, output_id: str) -> None:
    """Forget that an output was nearest to its siblings: it has gone."""
    db.write(
        """UPDATE output SET nearest_bits = NULL, nearest_output = NULL
           WHERE file_id = :file_id AND nearest_output = :id""",
        {"file_id": file_id, "id": output_id},
    )


def picture(db: Connection, file_id: str) -> str | None:
    """Return what is kept of a source's picture, or None before it was encoded."""
    query = "SELECT picture FROM job_file WHERE id = :id"
    found: str | None = db.value(query, {"id": file_id})
    return found


def pictures(db: Connection, job_id: str) -> dict[str, str]:
    """Return what is kept of the pictures of a job's sources, by file."""
    query = """
        SELECT id, picture FROM job_file
        WHERE job_id = :id AND picture IS NOT NULL"""
    return {row[0]: row[1] for row in db.execute(query, {"id": job_id}).fetchall()}


def keep_picture(db: Connection, claim: Claim, found: str) -> None:
    """Keep that of a claimed file, in the transaction that ended its claim and said it was held."""
    db.write(
        "UPDATE job_file SET picture = :found WHERE id = :id", {"id": claim.id, "found": found}
    )
