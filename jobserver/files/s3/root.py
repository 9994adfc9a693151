"""Whose objects these are: one small object says it; asking for it says if the store answers."""

import threading
import time

from jobserver.errors import StoreUnreachable
from jobserver.files.root import LONGEST_ID, OWNER_FILE
from jobserver.files.s3.client import Objects

REMEMBERED_S = 2.0  # every claim, upload and health check asks


class BucketRoot:
    """The prefix of STORAGE_URL; see store.Root."""

    name = "STORAGE_URL"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.Lock()  # one asks, the others wait for what it hears
        self._answer: str | None = None
        self._trouble: str | None = None
        self._asked_at: float | None = None

    def owner(self) -> str | None:
        """Return the id in the owner object, None without one; as it was 2 s ago at most.

        Raises StoreUnreachable, the same for so long.
        """
        with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at >= REMEMBERED_S:
                self._ask()
            if self._trouble is not None:
                raise StoreUnreachable(self._trouble)
            return self._answer

    def is_empty(self) -> bool:
        """Return whether no object of anybody is there. Raises StoreUnreachable."""
        return next(self._objects.list(""), None) is None

    def mark(self, database_id: str, *, only_new: bool = False) -> None:
        """Store the owner object. Raises StoreUnreachable."""
        self._objects.write_mark(OWNER_FILE, database_id.encode(), only_new=only_new)
        with self._lock:
            self._asked_at = None

    def _ask(self) -> None:
        self._answer = self._trouble = None
        try:
            content = self._objects.read_mark(OWNER_FILE, LONGEST_ID)
            self._answer = None if content is None else content.decode(errors="replace")
        except StoreUnreachable as error:
            self._trouble = str(error)
        self._asked_at = time.monotonic()
