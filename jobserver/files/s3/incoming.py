"""An upload on its way into a bucket: parts while the body comes, no file on this machine.

Its key is visible from commit() on. Until then the store keeps its parts apart; what is neither
completed nor aborted is found by the sweep.
"""

from contextlib import suppress

from jobserver.errors import InsufficientStorage, StoreUnreachable
from jobserver.files.keys import source_key, stored_name
from jobserver.files.s3.client import Objects, Part, PartUploads
from jobserver.ids import generate_id

PART_SIZE = 8 * 1024 * 1024  # bytes: what an upload holds in memory; all parts but the last alike
MAX_PARTS = 10_000  # of one object


class CopiedObject:
    """An upload that has the bytes of another object; see store.Incoming."""

    def __init__(self, objects: Objects, key: str) -> None:
        self.id = generate_id()
        self.stored_name = stored_name(self.id, key)
        self._objects, self._key = objects, key

    def write(self, piece: bytes) -> None:
        """Refuse: its bytes are those of the other one."""
        raise NotImplementedError

    def finish(self) -> None:
        """Nothing is missing."""

    def commit(self) -> None:
        """Copy the object inside the store. Raises FileNotFoundError or StoreUnreachable."""
        self._objects.copy(self._key, source_key(self.stored_name))

    def discard(self) -> None:
        """Nothing is held."""


class IncomingObject:
    """See store.Incoming."""

    def __init__(self, uploads: PartUploads, client_name: str) -> None:
        self.id = generate_id()
        self.stored_name = stored_name(self.id, client_name)
        self._uploads, self._key = uploads, source_key(self.stored_name)
        self._upload_id: str | None = None
        self._parts: list[Part] = []
        self._part = bytearray()
        self._size = self._sent = 0
        self._committed = False

    def write(self, piece: bytes) -> None:
        """Append; send each part that is full. Raises StoreUnreachable or OSError."""
        view = memoryview(piece)
        while view:
            room = PART_SIZE - len(self._part)
            self._part += view[:room]
            view = view[room:]
            if len(self._part) == PART_SIZE:
                self._send()
        self._size += len(piece)

    def finish(self) -> None:
        """Send what is left, so that committing sends no bytes. Raises StoreUnreachable."""
        if self._part or not self._parts:
            self._send()
        if self._sent != self._size:
            raise InsufficientStorage

    def commit(self) -> None:
        """Make the parts one durable, visible object. Raises StoreUnreachable."""
        assert self._upload_id is not None  # noqa: S101  finish() has begun it
        self._uploads.complete(self._key, self._upload_id, self._parts, self._size)
        self._committed = True

    def discard(self) -> None:
        """Delete the parts unless committed; a store that is away keeps them for the sweep."""
        upload_id, self._upload_id = self._upload_id, None
        self._part = bytearray()
        if upload_id is not None and not self._committed:
            with suppress(StoreUnreachable):
                self._uploads.abort(self._key, upload_id)

    def _send(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._uploads.begin(self._key)
        number = len(self._parts) + 1
        self._parts.append(self._uploads.put_part(self._key, self._upload_id, number, self._part))
        self._sent += len(self._part)
        self._part = bytearray()
