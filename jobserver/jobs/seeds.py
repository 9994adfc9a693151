"""The seed of each file of a job, so that no two videos of a job get the same variations."""

import hashlib

from jobserver.jobs.model import Claim, File, Job

_BITS = 53  # what JSON carries through JavaScript: every seed can be sent again with an upload


def file_seed(seed: int, position: int) -> int:
    """Return the seed of the file at this place of an upload, from 0: the first has the job's.

    It depends on nothing else: the same files and seed give the same variations again, and
    one file alone, sent with its own seed, gives those that it has here.
    """
    if position == 0:
        return seed
    digest = hashlib.sha256(f"jobserver/1/{seed}/file/{position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _BITS)


def seed_of(job: Job, file: File | Claim) -> int:
    """Return the seed that a file of the job is rendered with.

    A file that was queued before version 5 of the database has no own seed: it keeps the
    job's, so that what is missing of it still belongs to what is published.
    """
    return job.seed if file.own_seed is None else file.own_seed
