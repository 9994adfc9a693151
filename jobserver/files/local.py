"""The store of one machine: two folders. The only module that knows where a file lies in them.

UPLOAD_DIR/<id>.part                       being received (part_file.py)
UPLOAD_DIR/<stored name>                   uploads/<stored name>
OUTPUT_DIR/<job id>/.<file id>.<token>/    the scratch folder of one claim
OUTPUT_DIR/<job id>/<name>                 outputs/<job id>/<name>
"""

import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jobserver import modes
from jobserver.files import durability
from jobserver.files.keys import OUTPUTS, UPLOADS, output_key, source_key
from jobserver.files.linked_file import LinkedFile
from jobserver.files.part_file import PartFile, remove_unlocked
from jobserver.files.resumable import ResumableParts
from jobserver.files.root import OWNER_FILE, LocalRoot
from jobserver.files.store import Staged

_JOB_ID = re.compile(r"\w{22}")  # see ids.py; a volume may hold other folders, as lost+found
_UPLOAD = re.compile(rf"\w{{22}}\.\w{{1,10}}|{re.escape(OWNER_FILE)}\.\w+")  # see keys.py, root.py


class _TwoFolders:
    """The folders, the space on their disks, and what files of one machine have no need of."""

    def __init__(self, uploads: LocalRoot, outputs: LocalRoot) -> None:
        self._uploads, self._outputs = uploads, outputs

    @property
    def roots(self) -> Sequence[LocalRoot]:
        """UPLOAD_DIR and OUTPUT_DIR."""
        return self._uploads, self._outputs

    def is_writable(self) -> bool:
        """Return whether files can be made in UPLOAD_DIR: it exists, is ours, not read-only."""
        return os.access(self._uploads.folder, os.W_OK | os.X_OK)

    def free(self) -> int:
        """Return the bytes that may still be written to the fuller of the two disks."""
        return min(root.free() for root in self.roots)

    def require_free(self, incoming_bytes: int) -> None:
        """Raise InsufficientStorage when either disk has too little left for so many more."""
        for root in self.roots:
            root.require_free(incoming_bytes)

    def has_room_for_uploads(self) -> bool:
        """Return whether both disks have the space to keep free, and inodes. Raises OSError."""
        return all(root.has_room_for_uploads() for root in self.roots)

    @property
    def sweep_every_s(self) -> float:
        """No time: two folders are listed in a moment."""
        return 0.0

    def prepare_worker(self) -> None:
        """Nothing: scratch folders lie in OUTPUT_DIR, where the sweep finds them."""

    def place(self, name: str, *, job_id: str, file_id: str, claim_token: int) -> str:
        """Return the same key for each claim: rendered again, an output has the same bytes."""
        del file_id, claim_token
        return output_key(job_id, name)

    def withdraw(self, staged: Sequence[Staged]) -> None:
        """Nothing: what was not renamed goes with its scratch folder."""

    def abort_dead_uploads(self, resumed: Collection[str] = ()) -> int:
        """Nothing: a file that is received is listed until its lock is free."""
        del resumed
        return 0

    @property
    def resumable(self) -> ResumableParts:
        """Those in UPLOAD_DIR."""
        return ResumableParts(self._uploads)

    def near_uploads(self) -> Sequence[str]:
        """Return none: all are on this machine."""
        return ()

    def link(self, key: str, headers: Mapping[str, str], lifetime_s: int) -> None:
        """Return None: nobody else can send files of this machine."""

    def link_origin(self) -> None:
        """Return None; see link()."""


class LocalStore(_TwoFolders):
    """Keeps uploads and outputs in a folder each; see store.Store.

    min_free_space: bytes of either disk that no upload may use. output_group: the id of the
    group that may read outputs; None: the process's own.
    """

    def __init__(
        self,
        upload_dir: Path,
        output_dir: Path,
        min_free_space: int,
        output_group: int | None = None,
    ) -> None:
        self._output_group = output_group
        super().__init__(
            LocalRoot("UPLOAD_DIR", upload_dir, min_free_space),
            LocalRoot("OUTPUT_DIR", output_dir, min_free_space),
        )

    def receive(self, client_name: str) -> PartFile:
        """Begin an upload as a locked `.part` file. Raises OSError."""
        return PartFile(self._uploads, client_name)

    def copy_upload(self, key: str) -> LinkedFile:
        """Begin an upload that becomes another name of a file that is there. Raises OSError."""
        return LinkedFile(self._uploads, self._path(key))

    def sync_uploads(self) -> None:
        """Make the renames of all commits so far durable with one call. Raises OSError."""
        durability.sync_folder(self._uploads.folder)

    def scratch_dir(
        self, *, job_id: str, file_id: str, claim_token: int
    ) -> AbstractContextManager[Path]:
        """Make a folder inside the job's; those of earlier claims of the file are removed."""
        job_folder = self._outputs.folder / _checked(job_id)
        modes.make_folder(job_folder, self._output_group, shared=True)
        return _scratch_dir(job_folder, file_id, claim_token)

    def put(self, path: Path, key: str, *, sync: bool = True) -> Staged:
        """Leave a file where it lies until publish() renames it. Raises OSError."""
        if key.startswith(OUTPUTS):
            modes.share(path, modes.SHARED_FILE, self._output_group)
        if sync:
            durability.make_durable(path)
        return Staged(path, key, sync)

    def publish(self, staged: Sequence[Staged]) -> None:
        """Rename the files in their sequence; sync each folder once, if asked. Raises OSError."""
        paths = [self._path(each.key) for each in staged]
        for each, path in zip(staged, paths, strict=True):
            os.rename(each.path, path)
        synced = {path.parent for each, path in zip(staged, paths, strict=True) if each.synced}
        for folder in synced:
            durability.sync_folder(folder)

    def open(self, key: str) -> BinaryIO:
        """Open an object without a buffer, as sendfile wants it. Raises OSError."""
        return open(self._path(key), "rb", buffering=0)

    def opener(self, job_id: str) -> Callable[[str], BinaryIO]:
        """Return open() itself."""
        del job_id
        return self.open

    @contextmanager
    def local_path(self, key: str, cancel: threading.Event | None = None) -> Iterator[Path]:
        """Give the path of the object itself: nothing is copied."""
        del cancel
        yield self._path(key)

    def delete(self, key: str) -> None:
        """Remove a file, or a scratch folder that list_outputs() has named. Raises OSError."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except IsADirectoryError:  # a worker that has lost its claim may still write there
            shutil.rmtree(path, ignore_errors=True)

    def delete_job(self, job_id: str) -> None:
        """Remove the job's folder. Raises OSError, also when somebody wrote there meanwhile."""
        _remove_folder(self._outputs.folder / _checked(job_id))

    def delete_orphan(self, key: str, is_listed: Callable[[], bool]) -> bool:
        """Remove an upload whose lock is free; asks `is_listed` once it holds that lock.

        Outputs have no locks: their claims have ended.
        """
        if key.startswith(UPLOADS):
            return remove_unlocked(self._path(key), is_listed)
        self.delete(key)
        return True

    def list_uploads(self) -> Iterator[str]:
        """Yield keys of uploads, `.part` files and drafts of the owner file, as seen at once.

        Whatever else lies in the folder is not ours to remove. Raises OSError.
        """
        return map(source_key, _upload_names(self._uploads.folder))

    def list_outputs(self) -> dict[str, set[str]]:
        """Return the names in each job's folder, by job: one listdir a folder. Raises OSError."""
        seen: dict[str, set[str]] = {}
        for job_id in filter(_JOB_ID.fullmatch, os.listdir(self._outputs.folder)):
            with suppress(FileNotFoundError, NotADirectoryError):  # removed meanwhile, or not ours
                seen[job_id] = set(os.listdir(self._outputs.folder / job_id))
        return seen

    def present_outputs(self) -> dict[str, set[str]]:
        """Return list_outputs(): what is not in a folder is gone. Raises OSError."""
        return self.list_outputs()

    def _path(self, key: str) -> Path:
        """Return where an object lies. Raises ValueError for what is no key of keys.py."""
        if key.startswith(UPLOADS):
            return self._uploads.folder / _checked(key.removeprefix(UPLOADS))
        job_id, name = _names_of(key)
        return self._outputs.folder / _checked(job_id) / _checked(name)


def _remove_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):  # there was none, or somebody else removes it too
        shutil.rmtree(folder)
    if folder.exists():
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder))


def _upload_names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [each.name for each in entries if _UPLOAD.fullmatch(each.name) and each.is_file()]


@contextmanager
def _scratch_dir(job_folder: Path, file_id: str, claim_token: int) -> Iterator[Path]:
    for old in job_folder.glob(f".{file_id}.*"):
        if int(old.suffix[1:]) < claim_token:
            shutil.rmtree(old, ignore_errors=True)
    folder = job_folder / f".{file_id}.{claim_token}"
    folder.mkdir(modes.PRIVATE_FOLDER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _names_of(key: str) -> tuple[str, str]:
    if not key.startswith(OUTPUTS):
        raise ValueError(f"{key!r} names no object")
    job_id, _, name = key.removeprefix(OUTPUTS).partition("/")
    return job_id, name


def _checked(name: str) -> str:
    """Return a name that cannot lead out of its folder, nor be it. Raises ValueError."""
    if name in ("", ".", "..") or "/" in name:
        raise ValueError(f"{name!r} names no object")
    return name
