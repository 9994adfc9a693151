"""An upload that comes in several requests, in a bucket: parts of one upload in parts.

What is less than a part waits between two requests in an object of its own, the tail. Each part
and each tail has a number that no other request gets, so one that was taken over can overwrite
nothing; what no row names is left out when the upload is completed.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from jobserver.errors import StoreUnreachable
from jobserver.files.keys import source_key
from jobserver.files.s3.client import Objects, Part, PartUploads
from jobserver.files.s3.incoming import PART_SIZE
from jobserver.files.store import Hold, Partial


class State(NamedTuple):
    """What a row keeps. upload_id: of the upload in parts. tail: the name of an object."""

    upload_id: str | None = None
    parts: Sequence[Part] = ()
    tail: str | None = None

    @classmethod
    def of(cls, upload: Partial) -> "State":
        """Read what a row has."""
        if not upload.state:
            return cls()
        upload_id, parts, tail = json.loads(upload.state)
        return cls(upload_id, [Part(*each) for each in parts], tail)

    def text(self) -> str:
        """Return it as a row keeps it."""
        return json.dumps([self.upload_id, self.parts, self.tail], separators=(",", ":"))


class ResumableObjects:
    """See store.Resumable."""

    def __init__(self, objects: Objects, uploads: PartUploads) -> None:
        self._objects, self._uploads = objects, uploads

    def extend(self, upload: Partial, hold: Hold) -> "ExtendedObject":
        """Fetch the tail. Raises UploadTakenOver or StoreUnreachable."""
        return ExtendedObject(self._objects, self._uploads, upload, hold)

    def complete(self, upload: Partial) -> None:
        """Make the parts an object, if that is to be done. Raises StoreUnreachable."""
        state = State.of(upload)
        assert state.upload_id is not None  # noqa: S101  its last bytes are a part
        key = source_key(upload.stored_name)
        self._uploads.complete(key, state.upload_id, state.parts, upload.size)

    def replaced(self, before: Partial, after: Partial) -> None:
        """Delete the tail that was read, when it is not the same. Raises StoreUnreachable."""
        tail = State.of(before).tail
        if tail is not None and tail != State.of(after).tail:
            self._objects.delete([source_key(tail)])

    def discard(self, upload: Partial) -> None:
        """Abort the upload in parts, delete tail and object. Raises StoreUnreachable."""
        state, key = State.of(upload), source_key(upload.stored_name)
        if state.upload_id is not None:
            self._uploads.abort(key, state.upload_id)
        tails = () if state.tail is None else (source_key(state.tail),)
        self._objects.delete([key, *tails])


class ExtendedObject:
    """See store.Extending."""

    def __init__(self, objects: Objects, uploads: PartUploads, upload: Partial, hold: Hold) -> None:
        self._objects, self._uploads, self._upload, self._hold = objects, uploads, upload, hold
        self._state = State.of(upload)
        self._key = source_key(upload.stored_name)
        self._part = bytearray()
        if self._state.tail is not None:
            self._part += self._read_tail(self._state.tail)

    def write(self, piece: bytes) -> None:
        """Append; send each part that is full. Raises UploadTakenOver or StoreUnreachable."""
        view = memoryview(piece)
        while view:
            room = PART_SIZE - len(self._part)
            self._part += view[:room]
            view = view[room:]
            if len(self._part) == PART_SIZE:
                self._send()

    def sync(self, *, last: bool) -> Partial:
        """Return what the parts have; last: all, in a tail or, of the whole, in a last part.

        Raises UploadTakenOver or StoreUnreachable.
        """
        received = len(self._state.parts) * PART_SIZE
        if last and received + len(self._part) > self._upload.received:
            received += len(self._part)
            if received == self._upload.size and self._part:
                self._send()
            elif self._part:
                self._put_tail()
        if received > self._upload.received:
            state = self._state.text()
            self._upload = self._upload._replace(received=received, state=state)
        return self._upload

    def close(self) -> None:
        """Forget what is not stored."""
        self._part = bytearray()

    def _send(self) -> None:
        number = self._hold.next_number()
        upload_id = self._state.upload_id or self._uploads.begin(self._key)
        part = self._uploads.put_part(self._key, upload_id, number, self._part)
        self._state = State(upload_id, [*self._state.parts, part])
        self._part = bytearray()

    def _put_tail(self) -> None:
        tail = f"{self._upload.id}.t{self._hold.next_number()}"
        self._objects.put_bytes(source_key(tail), self._part)
        self._state = self._state._replace(tail=tail)

    def _read_tail(self, tail: str) -> bytes:
        size = self._upload.received - len(self._state.parts) * PART_SIZE
        try:
            body = self._objects.open(source_key(tail))
        except FileNotFoundError:
            self._hold.require()  # taken over, it was replaced
            raise
        try:
            found = body.read(size)
        finally:
            body.close()
        if len(found) != size:
            raise StoreUnreachable("the tail of an upload was cut short while it was read")
        return found
