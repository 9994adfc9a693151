"""One video on its way into the store, whichever protocol brings it."""

from typing import NamedTuple

from jobserver.errors import EmptyFile, FileTooLarge, NotAnMP4, NoVideos
from jobserver.files.keys import source_key
from jobserver.files.store import Store
from jobserver.uploads.brands import (
    BOX_HEADER_SIZE,
    START_SIZE,
    has_file_type,
    is_another_format,
)

MP4 = "video/mp4"
UNDECLARED = ("application/octet-stream", None)  # content types that say nothing
MAX_NAME_LENGTH = 255  # characters


class StoredFile(NamedTuple):
    """A whole, durable upload.

    name: as the client sent it, at most 255 characters. stored_name: what its key names.
    size: bytes.
    """

    id: str
    name: str
    stored_name: str
    size: int


class IncomingFile:
    """Receives one video: write() its pieces, finish() it, commit() it, discard() it always."""

    def __init__(
        self, store: Store, max_file_size: int, *, name: str, content_type: str | None
    ) -> None:
        """Begin a file. Raises NotAnMP4 or OSError.

        name: as the client sent it. content_type: as the client declared it.
        """
        if content_type != MP4 and content_type not in UNDECLARED:
            raise NotAnMP4
        self.name = name
        self.size = 0
        self._max_file_size = max_file_size
        self._declared = content_type == MP4
        self._start = b""
        self._stored = store.receive(name)
        self.id = self._stored.id
        self.stored_name = self._stored.stored_name

    @property
    def key(self) -> str:
        """What names the file in the store once it is committed."""
        return source_key(self.stored_name)

    def write(self, piece: bytes) -> None:
        """Append to the file. Raises FileTooLarge, NotAnMP4, InsufficientStorage or OSError."""
        self.size += len(piece)
        if self.size > self._max_file_size:
            raise FileTooLarge(self._max_file_size)
        if len(self._start) < START_SIZE:
            self._start += piece[: START_SIZE - len(self._start)]
            self._check_start(whole=False)
        self._stored.write(piece)

    def finish(self) -> None:
        """Accept the file as whole. Raises NoVideos, EmptyFile, NotAnMP4, InsufficientStorage.

        A browser sends a file without name and content when nobody has chosen one.
        """
        if not self.size:
            raise EmptyFile if self.name else NoVideos
        self._check_start(whole=True)
        self._stored.finish()

    def commit(self) -> StoredFile:
        """Make the file visible; `Store.sync_uploads` makes that durable. Raises OSError."""
        self._stored.commit()
        return StoredFile(self.id, self.name[:MAX_NAME_LENGTH], self.stored_name, self.size)

    def discard(self) -> None:
        """Release what is held; remove the file unless it was committed. Harmless twice."""
        self._stored.discard()

    def _check_start(self, whole: bool) -> None:
        """Refuse what is another format; an undeclared file also unless it begins with `ftyp`.

        A file that is declared as MP4 may begin otherwise, as those did before `ftyp` was made.
        """
        known = whole or len(self._start) >= BOX_HEADER_SIZE
        if not self._declared and known and not has_file_type(self._start):
            raise NotAnMP4
        if is_another_format(self._start):
            raise NotAnMP4
