"""The names of objects, and what is safe in a name."""

import re
from pathlib import Path

from jobserver.ids import derive_id

UPLOADS, OUTPUTS = "uploads/", "outputs/"


def source_key(stored_name: str) -> str:
    """Return the key of an upload."""
    return UPLOADS + stored_name


def upload_id_of(key: str) -> str:
    """Return the id of the upload that something below `uploads/` belongs to."""
    return key.removeprefix(UPLOADS).partition(".")[0]


def output_key(job_id: str, name: str) -> str:
    """Return the key of an output, or of a thumbnail, of a job."""
    return f"{OUTPUTS}{job_id}/{name}"


def claim_output_key(name: str, *, job_id: str, file_id: str, claim_token: int) -> str:
    """Return a key that no other claim ever has: what is put there is never overwritten."""
    return output_key(job_id, f"{file_id}.{claim_token}/{name}")


def placed_key(place: str | None, job_id: str, name: str) -> str:
    """Return the key that a row names; those of before there were places lie under their names."""
    return place or output_key(job_id, name)


def claim_of(name: str) -> tuple[str, int] | None:
    """Return file and claim token of what a claim has begun in its job's folder, else None.

    name: of list_outputs(): `.<file>.<token>` is a scratch folder, `<file>.<token>/...` an object.
    """
    found = re.fullmatch(r"\.(\w+)\.(\d+)", name) or re.match(r"(\w+)\.(\d+)/", name)
    return (found[1], int(found[2])) if found else None


def output_id(file_id: str, number: int) -> str:
    """Return the id of one variation of a file: rendered again, it has the same one."""
    return derive_id(file_id, number)


def output_name(file_id: str, source_name: str, number: int) -> str:
    """Return `<original stem>_var<N>_<id>.mp4` with the stem made safe."""
    return f"{safe_stem(source_name)}_var{number}_{output_id(file_id, number)}.mp4"


def safe_stem(name: str) -> str:
    """Return what is harmless of a client's file name without its extension, never nothing."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem).strip("_-")[:80] or "video"


def stored_name(upload_id: str, client_name: str) -> str:
    """Return the name of an upload's file: its id and, when harmless, the client's extension."""
    found = re.search(r"\.[A-Za-z0-9]{1,10}\Z", client_name)
    return upload_id + (found[0] if found and found[0].lower() != ".part" else ".mp4")
