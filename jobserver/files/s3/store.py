"""The store of many machines; see files/store.py. Nothing is ever overwritten or renamed.

<prefix>/.database                                    whose objects these are (root.py)
<prefix>/uploads/<stored name>                        completed at the end of its request
<prefix>/outputs/<job id>/<file id>.<token>/<name>    put by one claim; rows name it
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

from jobserver.errors import StoreUnreachable
from jobserver.files.keys import claim_output_key, output_key, source_key
from jobserver.files.s3.cleanup import Ages, BucketCleanup, checked, checked_name
from jobserver.files.s3.client import Clients, Objects, PartUploads
from jobserver.files.s3.incoming import CopiedObject, IncomingObject
from jobserver.files.s3.reader import ObjectReader
from jobserver.files.s3.resumable import ResumableObjects
from jobserver.files.s3.root import BucketRoot
from jobserver.files.scratch import Scratch
from jobserver.files.store import Staged


class Bucket(NamedTuple):
    """Where objects lie. prefix: without slashes at its ends, may be empty.

    public_url: where browsers reach the store; without it its objects go through this server.
    """

    name: str
    prefix: str
    public_url: str | None


class S3Store(BucketCleanup):
    """Keeps uploads and outputs as objects; see store.Store."""

    def __init__(self, place: Bucket, scratch: Scratch, ages: Ages) -> None:
        """Connect to nothing yet."""
        clients = Clients(place.public_url)
        objects = Objects(place.name, place.prefix, clients)
        super().__init__(objects, PartUploads(place.name, place.prefix, clients), ages)
        self._root, self._scratch = BucketRoot(objects), scratch
        self.resumable = ResumableObjects(objects, self._uploads)
        self._has_links = place.public_url is not None

    @property
    def roots(self) -> Sequence[BucketRoot]:
        """The bucket's prefix."""
        return (self._root,)

    def prepare_worker(self) -> None:
        """Remove what killed workers left in SCRATCH_DIR. Raises OSError."""
        self._scratch.wipe()

    def is_writable(self) -> bool:
        """Return True when the store answers. Raises StoreUnreachable."""
        self._root.owner()
        return True

    def receive(self, client_name: str) -> IncomingObject:
        """Begin an upload; the store hears of it with its first part."""
        return IncomingObject(self._uploads, client_name)

    def copy_upload(self, key: str) -> CopiedObject:
        """Begin an upload that the store itself will copy."""
        return CopiedObject(self._objects, checked(key))

    def sync_uploads(self) -> None:
        """Nothing: what a store has answered for survives a power cut."""

    def scratch_dir(
        self, *, job_id: str, file_id: str, claim_token: int
    ) -> AbstractContextManager[Path]:
        """Make a folder in SCRATCH_DIR."""
        return self._scratch.folder(f"{job_id}.{file_id}.{claim_token}")

    def place(self, name: str, *, job_id: str, file_id: str, claim_token: int) -> str:
        """Return a key of this claim alone: two workers never write the same one."""
        return claim_output_key(name, job_id=job_id, file_id=file_id, claim_token=claim_token)

    def put(self, path: Path, key: str, *, sync: bool = True) -> Staged:
        """Store the object. Raises StoreUnreachable or OSError."""
        self._objects.put(checked(key), path)
        return Staged(path, key, sync)

    def publish(self, staged: Sequence[Staged]) -> None:
        """Nothing: objects are whole, and the rows of this transaction name them."""

    def withdraw(self, staged: Sequence[Staged]) -> None:
        """Delete the objects of a claim that was lost. Raises StoreUnreachable."""
        self._objects.delete([each.key for each in staged])

    def open(self, key: str) -> BinaryIO:
        """Ask how large an object is; reading it asks again. Raises FileNotFoundError."""
        found = self._objects.look(checked(key))
        if found is None:
            self._root.owner()  # raises when it is the bucket that is missing
            raise FileNotFoundError(key)
        return self._reader(key, found.size)

    def opener(self, job_id: str) -> Callable[[str], BinaryIO]:
        """Return an open() that knows the sizes from one listing."""
        found = self._objects.list(output_key(checked_name(job_id), ""))
        sizes = {each.key: each.size for each in found}

        def open_listed(key: str) -> BinaryIO:
            if key not in sizes:
                raise FileNotFoundError(key)
            return self._reader(key, sizes[key])

        return open_listed

    def link(self, key: str, headers: Mapping[str, str], lifetime_s: int) -> str | None:
        """Return a presigned address where STORAGE_PUBLIC_URL is set."""
        return self._objects.link(checked(key), headers, lifetime_s) if self._has_links else None

    def link_origin(self) -> str | None:
        """Return it as boto makes it: the bucket may be a part of the host.

        None as well while nothing can be signed for want of credentials.
        """
        with suppress(StoreUnreachable):
            if link := self.link("outputs/a/b", {}, 1):
                parts = urlsplit(link)
                return f"{parts.scheme}://{parts.netloc}"
        return None

    def local_path(
        self, key: str, cancel: threading.Event | None = None
    ) -> AbstractContextManager[Path]:
        """Fetch an object into SCRATCH_DIR once and keep it while there is room."""
        return self._scratch.copy(_copy_name(key), partial(self.open, key), cancel)

    def near_uploads(self) -> list[str]:
        """Return those of which SCRATCH_DIR has a copy of this process."""
        uploads = _copy_name(source_key(""))
        names = (name for name in self._scratch.copies() if name.startswith(uploads))
        return [name.removeprefix(uploads) for name in names]

    def free(self) -> None:
        """Return None: a bucket has no end; a store that is full says so when it is written."""

    def require_free(self, incoming_bytes: int) -> None:
        """Nothing; see free()."""

    def has_room_for_uploads(self) -> bool:
        """Return True; see free()."""
        return True

    def _reader(self, key: str, size: int) -> BinaryIO:
        return cast(BinaryIO, ObjectReader(partial(self._objects.open, key), size))


def _copy_name(key: str) -> str:
    """Return the name of the file that is a copy of an object."""
    return key.replace("/", "+")
