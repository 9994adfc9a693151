"""What every store of bytes offers; `local.py` keeps them in folders.

Another store is one module beside it, runs through `tests/files/contract.py`, and is chosen in
`jobserver.store_of`.

A key names one object: `uploads/<stored name>`, `outputs/<job id>/<name>` (see keys.py). What a
key names never changes: it appears whole, and disappears whole.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Staged(NamedTuple):
    """Bytes that nobody can see yet; `publish` makes them visible under `key`.

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

    def mark(self, database_id: str) -> None:
        """Note durably whose files these are."""


class Store(Protocol):
    """Receives, publishes, opens and deletes objects."""

    @property
    def roots(self) -> Sequence[Root]:
        """The places that must belong to the database before anything is put there."""

    def receive(self, client_name: str) -> Incoming:
        """Begin an upload that no sweep removes while it lives.

        client_name: the file's name as the client sent it. It decides the key, which object
        stores have to know before the first byte.
        """

    def sync_uploads(self) -> None:
        """Return once every commit so far survives a power cut."""

    def scratch_dir(
        self, *, job_id: str, file_id: str, claim_token: int
    ) -> AbstractContextManager[Path]:
        """Give a claim a folder of its own; removed at the end with what is in it."""

    def put(self, path: Path, key: str, *, sync: bool = True) -> Staged:
        """Make a file of a scratch folder durable; it is not visible yet.

        sync: False for a thumbnail, which a power cut may take: it is no promise.
        """

    def publish(self, staged: Sequence[Staged]) -> None:
        """Make all of them visible; called inside the transaction that lists them.

        What was put with `sync` is durable with its name afterwards.
        """

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading at any place; `fileno()` works. Raises FileNotFoundError."""

    def local_path(self, key: str) -> AbstractContextManager[Path]:
        """Give a path by which ffmpeg can read the object."""

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing counts as deleted. Raises OSError.

        Also what `list_outputs` names of a scratch folder, as far as that is possible.
        """

    def delete_job(self, job_id: str) -> None:
        """Delete everything of a job below `outputs/`. Raises OSError when something is left."""

    def delete_orphan(self, key: str, is_listed: Callable[[], bool]) -> bool:
        """Delete an object that no row names; return whether it was.

        Spares a living upload, and what `is_listed` says has been committed meanwhile.
        """

    def list_uploads(self) -> Iterator[str]:
        """Yield the keys below `uploads/` that have names of our making."""

    def list_outputs(self) -> dict[str, set[str]]:
        """Return the names in each job's folder, by job; scratch folders are among them."""

    def free(self) -> int:
        """Return the bytes that may still be written, whichever disk has fewest."""

    def require_free(self, incoming_bytes: int) -> None:
        """Raise InsufficientStorage when so many more would use the space that is kept free."""

    def has_room_for_uploads(self) -> bool:
        """Return whether a small upload would be kept. Raises OSError."""
