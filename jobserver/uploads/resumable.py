"""What may arrive in an upload that comes in several requests; the same as in one.

Between two requests a row keeps the first bytes, as far as they show what the file is.
"""

from typing import NamedTuple

from jobserver.errors import EmptyFile, FileTooLarge, InvalidOption
from jobserver.uploads.incoming import MAX_NAME_LENGTH
from jobserver.uploads.kinds import FIELDS, VIDEOS, Beginning
from jobserver.uploads.limits import UploadLimits
from jobserver.uploads.tus import Metadata


class Declared(NamedTuple):
    """What a client says of a file before it sends it.

    field: of the form, see kinds.FIELDS. name: at most 255 characters. content_type: None when
    nothing is said. size: bytes.
    """

    field: str
    name: str
    content_type: str | None
    size: int

    @classmethod
    def of(cls, metadata: Metadata, size: int) -> "Declared":
        """Read the keys that clients use: filename or name, filetype or type, and our role.

        Raises InvalidOption.
        """
        field = metadata.get("role") or VIDEOS
        if field not in FIELDS:
            raise InvalidOption(f"Unknown role (choose one of: {', '.join(FIELDS)})")
        name = metadata.get("filename") or metadata.get("name") or ""
        type_ = metadata.get("filetype") or metadata.get("type") or ""
        content_type = type_.partition(";")[0].strip().lower() or None
        return cls(field, name[:MAX_NAME_LENGTH], content_type, size)


class Arriving:
    """Checks the bytes of one upload as they come. start: the first, of earlier requests."""

    def __init__(self, declared: Declared, limits: UploadLimits, start: bytes = b"") -> None:
        self._declared, self._limits = declared, limits
        self._seen = Beginning(declared.content_type, start, accept=limits.accept)

    @property
    def start(self) -> bytes:
        """The first bytes, as many as are needed."""
        return self._seen.start

    def check(self) -> None:
        """Judge by what is known. Raises EmptyFile, NotAccepted or FileTooLarge."""
        declared = self._declared
        if not declared.size:
            raise EmptyFile(f"A file in '{declared.field}' is empty")
        most = FIELDS[declared.field].check(self._seen) or self._limits.max_file_size
        if declared.size > most:
            raise FileTooLarge(most)

    def take(self, piece: bytes) -> None:
        """Look at the next piece. Raises as check()."""
        if not self._seen.is_enough:
            self._seen = self._seen.followed_by(piece)
            self.check()

    def finish(self) -> None:
        """Nothing comes any more. Raises as check()."""
        self._seen = self._seen._replace(whole=True)
        self.check()
