"""How large an upload may be, and how many are received at once.

Where each limit is enforced: Content-Length in `upload_slot`, the bytes of one file in
`incoming.IncomingFile.write`, the number of files, text fields and what is around them in
`multipart`. Room on the disk and in the quota is another question: `jobs/quota.py`.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from jobserver import metrics
from jobserver.errors import BodyTooLarge, Busy
from jobserver.uploads.kinds import FIELDS, MAX_MUSIC_SIZE, MAX_STILL_SIZE, MIB, FileField

MAX_FIELD_SIZE = 16 * 1024  # bytes of a text field
MAX_BRIEF_SIZE = 64 * 1024  # bytes of the text field that may be larger


class UploadLimits(NamedTuple):
    """What one upload may hold. max_file_size: bytes of each of at most max_files videos.

    accept: the containers that these may have, see containers.CONTAINERS. The other limits are
    the same for every server.
    """

    max_file_size: int
    max_files: int
    accept: Sequence[str] = ("mp4",)

    def most(self, field: FileField) -> int:
        """Return how many files of one field there may be."""
        return self.max_files if field.max_files is None else field.max_files

    @property
    def max_body_size(self) -> int:
        """Bytes that no accepted body has more of: full files, their headers, full fields."""
        sizes = {
            "overlays": MAX_STILL_SIZE,
            "music": MAX_MUSIC_SIZE,
        }
        each = (
            self.most(field) * (sizes.get(name, self.max_file_size) + MAX_FIELD_SIZE)
            for name, field in FIELDS.items()
        )
        return sum(each) + MAX_BRIEF_SIZE + MIB


class UploadSlots:
    """Bounds how many uploads one process receives at once.

    Uploads have fewer slots than the process has threads, so other requests are still served.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    def acquire(self) -> None:
        """Take a slot. Raises Busy when there is none."""
        if not self._free.acquire(blocking=False):
            raise Busy("Too many uploads at once; try again")

    def release(self) -> None:
        """Give a slot back."""
        self._free.release()


@contextmanager
def upload_slot(
    slots: UploadSlots, limits: UploadLimits, content_length: int | None
) -> Iterator[None]:
    """Receive one upload inside `with`; refuse it before any of its body is read.

    content_length: bytes of the body, None when it is sent in chunks.
    Raises BodyTooLarge or Busy.
    """
    if (content_length or 0) > limits.max_body_size:
        raise BodyTooLarge(f"Request too large (at most {limits.max_body_size // MIB} MB)")
    slots.acquire()
    try:
        with metrics.transfer("upload"):
            yield
    finally:
        slots.release()
