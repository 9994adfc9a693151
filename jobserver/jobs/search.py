"""The list of jobs, by state and by words of titles and file names, whatever their case.

A search looks at WINDOW jobs at most, newest first, and says where to go on: what it costs does not
grow with the jobs that do not match. A page may so have fewer jobs than asked for, even none.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from jobserver.db import Connection
from jobserver.jobs import queries
from jobserver.jobs.model import Job
from jobserver.jobs.queries import Place

WINDOW = 2000  # jobs


class Wanted(NamedTuple):
    """What is looked for. words: in the title or the name of a file. None: anything."""

    status: str | None = None
    words: str | None = None


class Page(NamedTuple):
    """Jobs, newest first. rest_before: id of the job before which to go on; None: no more."""

    jobs: list[Job]
    rest_before: str | None


def title_key(title: str) -> str:
    """Return a title as a search compares it: without case, compatible letters as one."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def page(db: Connection, before: Place | None, limit: int, wanted: Wanted) -> Page:
    """Return at most `limit` jobs that are wanted, older than a place or newest."""
    size = limit if wanted == Wanted() else WINDOW
    seen = queries.newest_jobs(db, size + 1, before)
    found = _among(db, seen[:size], wanted)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].id)
    return Page(found, seen[size - 1].id if len(seen) > size else None)


def _among(db: Connection, jobs: Sequence[Job], wanted: Wanted) -> list[Job]:
    kept = [job for job in jobs if wanted.status in (None, job.status)]
    if wanted.words is None:
        return kept
    key = title_key(wanted.words)
    titled = {job.id for job in kept if key in title_key(job.title or "")}
    names = queries.file_names(db, [job.id for job in kept if job.id not in titled])
    named = {job_id for job_id, name in names if key in title_key(name)}
    return [job for job in kept if job.id in titled | named]
