"""A multipart form whose files are read while it is sent: memory stays flat.

Source: https://www.rfc-editor.org/rfc/rfc7578
"""

import mimetypes
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jobserver.client.errors import LocalProblem

PIECE_SIZE = 256 * 1024


class _File(NamedTuple):
    head: bytes
    path: Path
    size: int


class Form:
    """A form of known length. Raises LocalProblem when a file cannot be read."""

    def __init__(self, fields: Mapping[str, str], files: Sequence[tuple[str, Path]]) -> None:
        self._boundary = secrets.token_hex(16)
        parts = (
            self._head(f'name="{name}"') + value.encode() + b"\r\n"
            for name, value in fields.items()
        )
        self._fields = b"".join(parts)
        self._files = [self._file(name, path) for name, path in files]
        self._end = f"--{self._boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        bodies = sum(len(file.head) + file.size + 2 for file in self._files)
        self.size = len(self._fields) + bodies + len(self._end)

    def pieces(self, on_bytes: Callable[[int], object]) -> Iterator[bytes]:
        """Yield the body; on_bytes is called with the size of each piece when it has been taken."""
        yield self._fields
        for file in self._files:
            yield file.head
            yield from _content(file, on_bytes)
            yield b"\r\n"
        yield self._end

    def _head(self, names: str, content_type: str | None = None) -> bytes:
        lines = [f"--{self._boundary}", f"Content-Disposition: form-data; {names}"]
        if content_type is not None:
            lines.append(f"Content-Type: {content_type}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _file(self, name: str, path: Path) -> _File:
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        names = f'name="{name}"; filename="{_escaped(path.name)}"'
        try:
            size = path.stat().st_size
        except OSError as error:
            raise LocalProblem(f"{path}: {error.strerror}") from error
        return _File(self._head(names, content_type), path, size)


def _escaped(name: str) -> str:
    """Return a name as browsers write it between quotes; what is no UTF-8 becomes `?`.

    Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    """
    name = name.encode("utf-8", "replace").decode()
    for letter, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(letter, code)
    return name


def _content(file: _File, on_bytes: Callable[[int], object]) -> Iterator[bytes]:
    left = file.size
    try:
        with file.path.open("rb") as source:
            while left and (piece := source.read(min(PIECE_SIZE, left))):
                yield piece
                left -= len(piece)
                on_bytes(len(piece))
    except OSError as error:
        raise LocalProblem(f"{file.path}: {error.strerror}") from error
    if left:
        raise LocalProblem(f"{file.path} became shorter while it was sent")
