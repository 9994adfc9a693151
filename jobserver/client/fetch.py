"""One output into a file: resumed where it was interrupted, verified, then under its name."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from jobserver.client.errors import Damaged, LocalProblem, ServerUnavailable
from jobserver.client.model import Output
from jobserver.client.transport import ATTEMPTS, LINE_FAILED, Transport, refusal_of

PIECE_SIZE = 256 * 1024
OnBytes = Callable[[int], object]


def fetch(
    transport: Transport,
    job_id: str,
    output: Output,
    folder: Path,
    *,
    on_bytes: OnBytes,
    pause: Callable[[int], None],
) -> Path:
    """Return the path of an output that is whole, in `folder`; nothing is fetched twice.

    on_bytes: called with how many bytes came, negative when some must come again. pause: called
    before another attempt with the number of those that failed. Raises Damaged, LocalProblem,
    ApiError or ServerUnavailable.
    """
    path = _place(folder, output)
    if path.exists():
        on_bytes(output.size)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{output.id}.{output.sha256[:12]}.part"  # of these bytes and no others
    on_bytes(_size(part))
    for failed in range(ATTEMPTS):
        if failed:
            pause(failed)
        try:
            _go_on(transport, job_id, output, part=part, on_bytes=on_bytes)
        except LINE_FAILED as error:
            if isinstance(error, OSError) and error.filename is not None:  # a file of ours
                raise
            continue
        if _size(part) < output.size:
            continue
        if sha256_of(part) == output.sha256:
            os.replace(part, path)
            return path
        on_bytes(-_size(part))
        part.unlink()
    if part.exists():
        raise ServerUnavailable(f"{path.name} could not be fetched; run it again to go on")
    raise Damaged(f"{path.name} came damaged each time")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _go_on(
    transport: Transport, job_id: str, output: Output, *, part: Path, on_bytes: OnBytes
) -> None:
    """Append what is missing of a file, as far as it comes. Raises LINE_FAILED or ApiError."""
    size = _size(part)
    if size >= output.size:
        return
    path = f"/api/jobs/{job_id}/outputs/{output.id}"
    ranged = {"Range": f"bytes={size}-", "If-Range": f'"{output.sha256}"'} if size else {}
    with transport.open("GET", path, headers=ranged) as response:
        if response.status >= 400:
            raise refusal_of(response)
        if response.status != 206 and size:  # all of it again
            on_bytes(-size)
        with part.open("ab" if response.status == 206 else "wb") as file:
            while piece := response.read(PIECE_SIZE):
                file.write(piece)
                on_bytes(len(piece))
            file.flush()
            os.fsync(file.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _place(folder: Path, output: Output) -> Path:
    """Return where an output is, or is to be: under its name, or with its id where that is taken.

    Raises LocalProblem.
    """
    path = folder / _safe(output.name)
    for candidate in (path, path.with_name(f"{path.stem}_{output.id}{path.suffix}")):
        if not candidate.exists() or sha256_of(candidate) == output.sha256:
            return candidate
    raise LocalProblem(f"{path} is there, and is something else")


def _safe(name: str) -> str:
    """Return the last part of a name, so that a server cannot choose another folder."""
    last = PurePosixPath(name.replace("\\", "/")).name
    if last in ("", ".", "..") or "\0" in last:
        raise LocalProblem(f"{name!r} is no name of a file")
    return last
