"""What a form asks for, as one hash, computed while it comes: two with the same are one request.

Boundaries and headers of parts may differ, as they do when a client sends the same again.
"""

import hashlib
import json

from jobserver.files.store import Incoming
from jobserver.ids import generate_id


class Fingerprint:
    """Of each part its field, its file name and the SHA-256 of its content.

    The sequence of parts counts within a field alone, as it does for the job.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[str, str | None]] = []
        self._hashes: list[hashlib._Hash] = []

    def begin(self, field: str, name: str | None) -> None:
        """Begin a part. name: of a file, None for a text."""
        self._parts.append((field, name))
        self._hashes.append(hashlib.sha256())

    def update(self, piece: bytes) -> None:
        """Take the next piece of the part."""
        self._hashes[-1].update(piece)

    def hexdigest(self) -> str:
        """Return the hash of all parts: 64 hexadecimal digits."""
        found = zip(self._parts, self._hashes, strict=True)
        parts = [(field, name, content.hexdigest()) for (field, name), content in found]
        return of_json(sorted(parts, key=lambda part: part[0]))


def of_json(value: object) -> str:
    """Return the fingerprint of a value that JSON can hold; the sequence of keys is no part."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Nowhere:
    """Receives files and keeps none of them: their fingerprint alone is wanted."""

    def receive(self, client_name: str) -> Incoming:
        """Begin a file that is nowhere."""
        del client_name
        return _NoFile()


class _NoFile:
    def __init__(self) -> None:
        self.id = self.stored_name = generate_id()

    def write(self, piece: bytes) -> None:
        """Forget it."""

    def finish(self) -> None:
        """Accept it: no space is needed."""

    def commit(self) -> None:
        """Refuse: nothing can be promised of it."""
        raise NotImplementedError

    def discard(self) -> None:
        """Release nothing."""
