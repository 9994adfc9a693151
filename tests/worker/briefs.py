"""Jobs with a brief as an upload would queue them, and the check after each."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from jobserver.brief.model import Brief, Part, Sources
from jobserver.brief.plan import plan
from jobserver.brief.stored import dump
from jobserver.db import exclusive
from jobserver.ids import generate_id
from jobserver.jobs import queue
from jobserver.jobs.model import JobDraft, JobOptions, NewFile, Role
from tests.support import Site

Files = Mapping[str, bytes]  # name -> content
NONE: Files = {}


class Parts(NamedTuple):
    """What is uploaded, by role."""

    videos: Files
    hooks: Files = NONE
    endings: Files = NONE
    overlays: Files = NONE
    music: Files = NONE

    @property
    def sources(self) -> Sources:
        return Sources(*(tuple(map(Part, files)) for files in self))


def queue_brief(site: Site, parts: Parts, **brief: Any) -> str:
    """Queue a job; without an axis among `brief` all that was sent is used. Return its id."""
    for axis in ("hooks", "endings", "music"):
        brief.setdefault(axis, tuple(getattr(parts, axis)) or (None,))
    asked = Brief(**brief)
    planned = plan(asked, parts.sources, 500)
    roles: tuple[Role, ...] = ("video", "hook", "ending", "overlay", "music")
    files = []
    for role, named in zip(roles, parts, strict=True):
        for place, (name, content) in enumerate(named.items()):
            file_id = generate_id()
            stored = f"{file_id}.{name.rpartition('.')[2]}"
            (site.upload_dir / stored).write_bytes(content)
            count = len(list(planned.of_video(place))) if role == "video" else 0
            files.append(NewFile(file_id, name, stored, len(content), role, count))
    options = JobOptions(planned.variations_per_video, asked.recipe, 7)
    draft = JobDraft(generate_id(), files, options, brief=dump(asked), total_outputs=planned.total)
    with closing(site.connect()) as db, exclusive(db, "quota"):
        queue.insert_job(db, draft, db.clock())
    return draft.id


def check_ended(site: Site, job_id: str, status: str, outputs: int) -> None:
    """Fail unless a job has ended so, with so many outputs, and left no shot behind."""
    job = site.show(job_id)
    assert (job["status"], job["progress"]) == (status, 100), site.state()
    query = """
        SELECT COUNT(*) FROM output JOIN job_file ON job_file.id = file_id WHERE job_id = ?"""
    assert site.rows(query, job_id) == [(outputs,)], site.state()
    assert site.rows("SELECT key FROM shot WHERE job_id = ?", job_id) == []
    assert site.rows("SELECT id FROM job_file WHERE status IN ('queued', 'processing')") == []
    site.check_sound()
