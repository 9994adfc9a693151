"""What is deleted from a bucket, and what is listed to find what must go."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from jobserver.files.keys import OUTPUTS, UPLOADS, output_key, upload_id_of
from jobserver.files.s3.client import Objects, PartUploads

_UPLOAD = re.compile(r"\w{22}\.\w{1,10}", re.ASCII)  # see keys.py
_JOB_ID = re.compile(r"\w{22}", re.ASCII)  # see ids.py
SWEEPS_IN_ORPHAN_AGE = 4


class Ages(NamedTuple):
    """Seconds. orphan: how old an object without a row must be to be nobody's, longer than any

    COMMIT takes. longest_upload: after so long no request can still be sending parts.
    """

    orphan: float
    longest_upload: float


class BucketCleanup:
    """A part of S3Store. ages: tests change them."""

    def __init__(self, objects: Objects, uploads: PartUploads, ages: Ages) -> None:
        self._objects, self._uploads, self.ages = objects, uploads, ages

    @property
    def sweep_every_s(self) -> float:
        """A share of the age that orphans need: a listing of all is paid for by the thousand."""
        return self.ages.orphan / SWEEPS_IN_ORPHAN_AGE

    def delete(self, key: str) -> None:
        """Delete an object. Raises StoreUnreachable."""
        self._objects.delete([checked(key)])

    def delete_job(self, job_id: str) -> None:
        """Delete what lies below `outputs/<job id>/`. Raises StoreUnreachable."""
        below = output_key(checked_name(job_id), "")
        self._objects.delete([found.key for found in self._objects.list(below)])
        for upload in self._uploads.unfinished(below):
            self._uploads.abort(upload.key, upload.upload_id)

    def delete_orphan(self, key: str, is_listed: Callable[[], bool]) -> bool:
        """Delete an object that is old enough, or the parts of an upload that cannot live."""
        found = self._objects.look(checked(key))
        if found is None:
            return self._abort_dead(key) > 0
        if found.age_s < self.ages.orphan or is_listed():
            return False
        self._objects.delete([key])
        return True

    def abort_dead_uploads(self, resumed: Collection[str] = ()) -> int:
        """Abort what is too old to live: boto begins an upload again when an answer was lost."""
        return sum(self._abort_dead(prefix, resumed) for prefix in (UPLOADS, OUTPUTS))

    def list_uploads(self) -> Iterator[str]:
        """Yield the keys of uploads, also of those that were only begun."""
        for key in self._keys(UPLOADS):
            if _UPLOAD.fullmatch(key.removeprefix(UPLOADS)):
                yield key

    def list_outputs(self) -> dict[str, set[str]]:
        """Return what lies below `outputs/` by job, also what was only begun."""
        seen: dict[str, set[str]] = {}
        for key in self._keys(OUTPUTS):
            job_id, _, name = key.removeprefix(OUTPUTS).partition("/")
            if _JOB_ID.fullmatch(job_id):
                seen.setdefault(job_id, set()).add(name)
        return seen

    def present_outputs(self) -> None:
        """Return None: not every store lists at once what it has stored."""

    def _keys(self, prefix: str) -> set[str]:
        stored = {found.key for found in self._objects.list(prefix)}
        return stored | {upload.key for upload in self._uploads.unfinished(prefix)}

    def _abort_dead(self, prefix: str, resumed: Collection[str] = ()) -> int:
        dead = [
            upload
            for upload in self._uploads.unfinished(prefix)
            if upload.age_s >= self.ages.longest_upload and upload_id_of(upload.key) not in resumed
        ]
        for upload in dead:
            self._uploads.abort(upload.key, upload.upload_id)
        return len(dead)


def checked(key: str) -> str:
    """Return a key of keys.py. Raises ValueError for what is none."""
    kind, *names = key.split("/")
    fits = {"uploads": (1,), "outputs": (2, 3)}.get(kind, ())
    if len(names) not in fits:
        raise ValueError(f"{key!r} names no object")
    for name in names:
        checked_name(name)
    return key


def checked_name(name: str) -> str:
    """Return a name without parts. Raises ValueError."""
    if name in ("", ".", "..") or "/" in name:
        raise ValueError(f"{name!r} names no object")
    return name
