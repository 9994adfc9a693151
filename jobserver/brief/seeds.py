"""The seed of each file of a job, so that no two videos of a job get the same variations."""

import hashlib

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
