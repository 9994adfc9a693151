"""One file on its way into the store, whichever protocol brings it."""

from collections.abc import Sequence
from typing import NamedTuple

from jobserver.errors import EmptyFile, FileTooLarge, NothingChosen, NoVideos, UploadError
from jobserver.files.keys import source_key
from jobserver.files.store import Receiver
from jobserver.uploads.kinds import FIELDS, VIDEOS, Beginning

MAX_NAME_LENGTH = 255  # characters


class StoredFile(NamedTuple):
    """A whole, durable upload.

    name: as the client sent it, at most 255 characters. stored_name: what its key names.
    size: bytes. field: of the form, see kinds.FIELDS.
    """

    id: str
    name: str
    stored_name: str
    size: int
    field: str = VIDEOS


class IncomingFile:
    """Receives one file: write() its pieces, finish() it, commit() it, discard() it always."""

    def __init__(
        self,
        store: Receiver,
        max_file_size: int,
        *,
        name: str,
        content_type: str | None,
        field: str = VIDEOS,
        accept: Sequence[str] = ("mp4",),
    ) -> None:
        """Begin a file. Raises NotAccepted or OSError.

        max_file_size: bytes of a video. name: as the client sent it. content_type: as the client
        declared it. field: see kinds.FIELDS. accept: containers of video, see kinds.Beginning.
        """
        self.field = field
        self.name = name
        self.size = 0
        self._max_video_size = max_file_size
        self._begun = Beginning(content_type, accept=accept)
        self._max_size = self._check()
        self._stored = store.receive(name)
        self.id = self._stored.id
        self.stored_name = self._stored.stored_name

    @property
    def key(self) -> str:
        """What names the file in the store once it is committed."""
        return source_key(self.stored_name)

    def write(self, piece: bytes) -> None:
        """Append to the file. Raises FileTooLarge, NotAccepted, InsufficientStorage or OSError."""
        self.size += len(piece)
        if not self._begun.is_enough:
            self._begun = self._begun.followed_by(piece)
            self._max_size = self._check()
        if self.size > self._max_size:
            raise FileTooLarge(self._max_size)
        self._stored.write(piece)

    def finish(self) -> None:
        """Accept the file as whole.

        Raises NoVideos or NothingChosen, EmptyFile, NotAccepted or InsufficientStorage. A
        browser sends a file without name and content when nobody has chosen one.
        """
        if not self.size:
            raise self._emptiness()
        self._begun = self._begun._replace(whole=True)
        self._max_size = self._check()
        self._stored.finish()

    def commit(self) -> StoredFile:
        """Make the file visible; `Store.sync_uploads` makes that durable. Raises OSError."""
        self._stored.commit()
        return self.described()

    def described(self) -> StoredFile:
        """Return what a row says of it."""
        name = self.name[:MAX_NAME_LENGTH]
        return StoredFile(self.id, name, self.stored_name, self.size, field=self.field)

    def discard(self) -> None:
        """Release what is held; remove the file unless it was committed. Harmless twice."""
        self._stored.discard()

    def _check(self) -> int:
        """Return how many bytes the file may have, as far as is known. Raises NotAccepted."""
        return FIELDS[self.field].check(self._begun) or self._max_video_size

    def _emptiness(self) -> UploadError:
        if self.field == VIDEOS:
            return EmptyFile() if self.name else NoVideos()
        return EmptyFile(f"A file in '{self.field}' is empty") if self.name else NothingChosen()
