"""The body of a request is appended to a resumable upload, and noted once it is synced."""

import time
from contextlib import closing, suppress

from flask import request

from jobserver.errors import BodyTooLarge, ClientGone, ClientTooSlow
from jobserver.files.store import Resumable, Store
from jobserver.jobs.resumable import LEASE_S, WriteHold
from jobserver.uploads import Arriving, Declared, UploadLimits
from jobserver.uploads.body import pieces
from jobserver.uploads.tus import Checksum
from jobserver.web.context import current_settings

SYNC_SIZE = 16 * 1024 * 1024  # bytes after which what has arrived is synced and noted
SYNC_S = 1.0  # seconds after which it is


class Appending:
    """One request that appends to an upload; nothing is noted before a checksum is verified."""

    def __init__(
        self, hold: WriteHold, store: Resumable, arriving: Arriving, checksum: Checksum | None
    ) -> None:
        self._hold, self._store, self._arriving = hold, store, arriving
        self._kept = hold.upload.partial
        self._extending = store.extend(self._kept, hold)
        self._checksum = checksum
        self._room = hold.upload.size - hold.upload.received
        self._unsynced, self._synced_at = 0, time.monotonic()

    def take(self, piece: bytes) -> None:
        """Append a piece. Raises BodyTooLarge, what Arriving.take() and Extending.write() raise."""
        self._room -= len(piece)
        if self._room < 0:
            raise BodyTooLarge("The body goes beyond the length of the upload")
        self._arriving.take(piece)
        if self._checksum is not None:
            self._checksum.update(piece)
        self._extending.write(piece)
        self._unsynced += len(piece)
        if self._is_due():
            self.keep(last=False)

    def finish(self) -> None:
        """Keep all. Raises ChecksumMismatch, and what Arriving.finish() raises."""
        if self._checksum is not None:
            self._checksum.verify()
        if not self._room:
            self._arriving.finish()
        self.keep(last=True)

    def close(self) -> None:
        """Release what is held."""
        self._extending.close()

    def keep(self, *, last: bool) -> None:
        """Sync what has arrived, then note it. Raises UploadTakenOver or OSError."""
        kept = self._extending.sync(last=last)
        now = self._hold.db.clock()
        expires_at = now + current_settings().upload_lifetime
        lease_until = 0.0 if last else now + LEASE_S
        self._hold.record(
            kept, start=self._arriving.start, expires_at=expires_at, lease_until=lease_until
        )
        with suppress(OSError):  # what cannot go now goes with the upload
            self._store.replaced(self._kept, kept)
        self._kept = kept
        self._unsynced, self._synced_at = 0, time.monotonic()

    def _is_due(self) -> bool:
        if self._checksum is not None:
            return False
        return self._unsynced >= SYNC_SIZE or time.monotonic() - self._synced_at >= SYNC_S


def append(hold: WriteHold, store: Store, limits: UploadLimits, checksum: Checksum | None) -> None:
    """Append the body of the current request as far as it comes.

    Without a checksum what arrived is kept when the client goes away. Raises as Appending does,
    ClientGone and ClientTooSlow.
    """
    upload, resumable = hold.upload, store.resumable
    declared = Declared(upload.field, upload.name, upload.content_type, upload.size)
    arriving = Arriving(declared, limits, bytes.fromhex(upload.start))
    if upload.is_whole:
        return
    with closing(Appending(hold, resumable, arriving, checksum)) as appending:
        try:
            for piece in pieces(request.stream, request.content_length):
                appending.take(piece)
        except (ClientGone, ClientTooSlow):
            if checksum is None:
                appending.keep(last=True)
            raise
        appending.finish()
