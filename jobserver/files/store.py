"""What every store of bytes offers; `local.py` keeps them in folders, `s3/` in a bucket.

Each runs through `tests/files/contract.py`, and is chosen in `jobserver.store_of`.

A key names one object: `uploads/<stored name>`, and of an output what `place()` says (see
keys.py). What a key names never changes: it appears whole, and disappears whole. Rows name keys.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Staged(NamedTuple):
    """Bytes that no row names yet; after `publish` a row may name `key`.

    synced: whether they survive a power cut.
    """

    path: Path
    key: str
    synced: bool


class Incoming(Protocol):
    """One upload on its way in. Until `commit` nothing is visible under its key.

    id: 22 letters and digits, made by the store. stored_name: what its key will name (keys.py).
    """

    id: str
    stored_name: str

    def write(self, piece: bytes) -> None:
        """Append. Raises InsufficientStorage or OSError."""

    def finish(self) -> None:
        """Raise InsufficientStorage unless every byte written is stored and space is left."""

    def commit(self) -> None:
        """Make the bytes durable and visible; `Store.sync_uploads` ends it. Raises OSError."""

    def discard(self) -> None:
        """Release what is held and remove the bytes, unless committed. Harmless twice."""


class Partial(NamedTuple):
    """An upload that comes in several requests, as a row keeps it between them.

    id, stored_name: as of Incoming. size: bytes of the whole. received: bytes that are durable.
    state: what the store wants to be given again; empty at first.
    """

    id: str
    stored_name: str
    size: int
    received: int = 0
    state: str = ""


class Hold(Protocol):
    """Of all requests that append to an upload, the right of the one that came last."""

    def require(self) -> None:
        """Raise UploadTakenOver when another request has it."""

    def next_number(self) -> int:
        """Return a number above all that were given for this upload. Raises UploadTakenOver."""


class Extending(Protocol):
    """An upload that one request appends to; what it has written is removed unless synced."""

    def write(self, piece: bytes) -> None:
        """Append. Raises UploadTakenOver, InsufficientStorage or OSError."""

    def sync(self, *, last: bool) -> Partial:
        """Return the upload as a row may keep it now: what it says was received is durable.

        last: everything written is, and nothing more will be. Raises as write().
        """

    def close(self) -> None:
        """Release what is held. Harmless twice."""


class Resumable(Protocol):
    """Uploads that come in several requests. Nothing is visible under their keys at first."""

    def extend(self, upload: Partial, hold: Hold) -> Extending:
        """Append to an upload. Raises UploadGone, UploadTakenOver or OSError."""

    def complete(self, upload: Partial) -> None:
        """Make an upload of which all was received visible. Harmless twice. Raises OSError."""

    def replaced(self, before: Partial, after: Partial) -> None:
        """Remove what only `before` needs, once the row says `after`. Raises OSError."""

    def discard(self, upload: Partial) -> None:
        """Remove all of it; what is missing counts as removed. Raises OSError."""


class Root(Protocol):
    """A place that belongs to one database at a time, as UPLOAD_DIR and OUTPUT_DIR do."""

    name: str  # the setting, for messages

    def owner(self) -> str | None:
        """Return the id of the database whose files these are, or None.

        Raises StorageUnavailable.
        """

    def is_empty(self) -> bool:
        """Return whether it holds nothing but what file systems put there.

        Raises StorageUnavailable.
        """

    def mark(self, database_id: str, *, only_new: bool = False) -> None:
        """Note durably whose files these are.

        only_new: leave the mark of a database that was faster, where the store can see that.
        """


class Swept(Protocol):
    """What the sweep asks of a store: what is there, and to delete what belongs to nobody."""

    def delete_orphan(self, key: str, is_listed: Callable[[], bool]) -> bool:
        """Delete an object that no row names; return whether it was.

        Spares a living upload, and what `is_listed` says has been committed meanwhile. What
        `list_outputs` has named of a dead claim counts as well.
        """

    def list_uploads(self) -> Iterator[str]:
        """Yield the keys below `uploads/` that have names of our making."""

    def list_outputs(self) -> dict[str, set[str]]:
        """Return what of each job lies below `outputs/<job id>/`, by job.

        What claims of a job have begun is among it: keys.claim_of() says whose it is.
        """

    def present_outputs(self) -> dict[str, set[str]] | None:
        """Return list_outputs() where what is not among it is surely gone, else None."""

    def abort_dead_uploads(self, resumed: Collection[str] = ()) -> int:
        """Delete what was begun and no request can still be sending; return how many uploads.

        Also what was begun twice, for a file that is there. resumed: ids of those that other
        requests may go on with.
        """


class Receiver(Protocol):
    """What an upload asks of a store."""

    def receive(self, client_name: str) -> Incoming:
        """Begin an upload that no sweep removes while it lives.

        client_name: the file's name as the client sent it. It decides the key, which object
        stores have to know before the first byte.
        """


class Store(Swept, Receiver, Protocol):
    """Receives, publishes, opens and deletes objects."""

    @property
    def roots(self) -> Sequence[Root]:
        """The places that must belong to the database before anything is put there."""

    @property
    def sweep_every_s(self) -> float:
        """Seconds between two sweeps of one process; 0 where listing costs nothing."""

    @property
    def resumable(self) -> Resumable:
        """The uploads that come in several requests."""

    def prepare_worker(self) -> None:
        """Remove what earlier workers of this machine left outside the store. Raises OSError."""

    def is_writable(self) -> bool:
        """Return whether it looks as if it took uploads. Raises StoreUnreachable."""

    def copy_upload(self, key: str) -> Incoming:
        """Begin an upload that has the bytes of another one; nothing is to be written to it.

        Raises FileNotFoundError, here or at its commit, when the other one is gone.
        """

    def sync_uploads(self) -> None:
        """Return once every commit so far survives a power cut."""

    def scratch_dir(
        self, *, job_id: str, file_id: str, claim_token: int
    ) -> AbstractContextManager[Path]:
        """Give a claim a folder of its own; removed at the end with what is in it."""

    def place(self, name: str, *, job_id: str, file_id: str, claim_token: int) -> str:
        """Return the key under which a claim puts an output, or a thumbnail, of this name."""

    def put(self, path: Path, key: str, *, sync: bool = True) -> Staged:
        """Make a file of a scratch folder durable; no row may name it yet.

        sync: False for a thumbnail, which a power cut may take: it is no promise.
        """

    def publish(self, staged: Sequence[Staged]) -> None:
        """Make all of them readable; called inside the transaction that lists them.

        What was put with `sync` is durable with its name afterwards.
        """

    def withdraw(self, staged: Sequence[Staged]) -> None:
        """Delete what was put and will be listed by no row, after the transaction said so.

        Never after an error: a COMMIT without an answer may have listed it.
        """

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading at any place. Raises FileNotFoundError.

        `fileno()` works where the object is a file of this machine.
        """

    def opener(self, job_id: str) -> Callable[[str], BinaryIO]:
        """Return an open() for many outputs of one job: what is missing is known beforehand."""

    def link(self, key: str, headers: Mapping[str, str], lifetime_s: int) -> str | None:
        """Return an address at which a browser can GET the object, or None where there is none.

        headers: what its answer says beside what it is. Asks nobody: the object may be gone.
        """

    def link_origin(self) -> str | None:
        """Return scheme and host of the addresses that link() gives; None where there are none."""

    def local_path(
        self, key: str, cancel: threading.Event | None = None
    ) -> AbstractContextManager[Path]:
        """Give a path by which ffmpeg can read the object.

        Raises FetchCancelled soon after `cancel` was set, if it has to be fetched.
        """

    def near_uploads(self) -> Sequence[str]:
        """Return the stored names of uploads that need not be fetched, those used last first."""

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing counts as deleted. Raises OSError.

        Also what `list_outputs` names of a scratch folder, as far as that is possible.
        """

    def delete_job(self, job_id: str) -> None:
        """Delete everything of a job below `outputs/`. Raises OSError when something is left."""

    def free(self) -> int | None:
        """Return the bytes that may still be written, whichever disk has fewest; None: no end."""

    def require_free(self, incoming_bytes: int) -> None:
        """Raise InsufficientStorage when so many more would use the space that is kept free."""

    def has_room_for_uploads(self) -> bool:
        """Return whether a small upload would be kept. Raises OSError."""
