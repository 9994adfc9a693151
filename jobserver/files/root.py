"""A folder that belongs to one database at a time, and the space on its disk."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from jobserver.errors import InsufficientStorage, StorageUnavailable
from jobserver.files import durability
from jobserver.files.space import Space, space_of
from jobserver.modes import create_private

OWNER_FILE = ".database"  # holds the id of the database whose files are beside it
LONGEST_ID = 100  # bytes that are read of it


class LocalRoot:
    """UPLOAD_DIR or OUTPUT_DIR; see store.Root.

    name: the setting. min_free_space: bytes of its disk that no upload may use.
    """

    def __init__(self, name: str, folder: Path, min_free_space: int) -> None:
        self.name = name
        self.folder = folder
        self._owner_file = folder / OWNER_FILE
        self._min_free_space = min_free_space

    def owner(self) -> str | None:
        """Return the id in the owner file, None without one. Raises StorageUnavailable.

        What is no id, such as a text cut short, is the id of no database. A pipe or a large
        file that somebody put there holds nobody up.
        """
        try:
            with open(self._owner_file, "rb", buffering=0, opener=_open_at_once) as file:
                return (file.read(LONGEST_ID) or b"").decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):  # is_empty() says which of them
            return None
        except OSError as error:
            reason = f"{OWNER_FILE} in {self.name} cannot be read ({error.strerror})"
            raise StorageUnavailable(reason) from error

    def is_empty(self) -> bool:
        """Return whether nothing of anybody lies here. Raises StorageUnavailable.

        File systems put lost+found into a new volume; a start that was killed leaves a draft
        of the owner file.
        """
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise StorageUnavailable(f"{self.name} is missing or cannot be read") from error
        return all(name == "lost+found" or name.startswith(f"{OWNER_FILE}.") for name in names)

    def mark(self, database_id: str, *, only_new: bool = False) -> None:
        """Write the owner file. Raises OSError.

        Durable, and the folder as well: a half-written one would be another database's. Of two
        new databases at the same moment the later one has it, whatever `only_new` says.
        """
        del only_new
        draft = self.folder / f"{OWNER_FILE}.{secrets.token_hex(8)}"
        try:
            create_private(draft, database_id)
            durability.make_durable(draft)
            with suppress(FileNotFoundError):  # swept as an orphan: another process was faster
                os.replace(draft, self._owner_file)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        durability.sync_folder(self.folder)
        with suppress(PermissionError):  # then the folder was there before us
            durability.sync_folder(self.folder.parent)

    def free(self) -> int:
        """Return the bytes that may still be written to this disk. Raises OSError."""
        return self.space().free

    def space(self) -> Space:
        """Return what its disk still takes. Raises OSError."""
        return space_of(self.folder)

    def has_room_for_uploads(self) -> bool:
        """Return whether a small upload would be kept. Raises OSError."""
        return self.space().has(self._min_free_space)

    def require_free(self, incoming_bytes: int) -> None:
        """Raise InsufficientStorage when so many more would use the space that is kept free."""
        if self.free() - incoming_bytes < self._min_free_space:
            raise InsufficientStorage


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
