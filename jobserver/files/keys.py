"""The names of objects, and what is safe in a name."""

import re
from pathlib import Path

from jobserver.ids import derive_id

UPLOADS, OUTPUTS = "uploads/", "outputs/"


def source_key(stored_name: str) -> str:
    """Return the key of an upload."""
    return UPLOADS + stored_name


def output_key(job_id: str, name: str) -> str:
    """Return the key of an output, or of a thumbnail, of a job."""
    return f"{OUTPUTS}{job_id}/{name}"


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
