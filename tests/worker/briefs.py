"""Jobs with a brief, uploaded as a client does, and the check after each."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support import Site, field_part, file_part

Files = Mapping[str, bytes]  # name -> content
NONE: Files = {}
TYPES = {"mp4": "video/mp4", "png": "image/png", "wav": "audio/wav"}


class Parts(NamedTuple):
    """What is uploaded, by form field."""

    videos: Files
    hooks: Files = NONE
    endings: Files = NONE
    overlays: Files = NONE
    music: Files = NONE


def queue_brief(site: Site, parts: Parts, variations: int = 0, **brief: Any) -> str:
    """Upload a job, at the smallest size; return its id. variations: looks of the recipe."""
    files = [
        file_part(content, name, TYPES[name.rpartition(".")[2]], field)
        for field, named in zip(Parts._fields, parts, strict=True)
        for name, content in named.items()
    ]
    fields = [field_part("brief", json.dumps({"size": 360, **brief}))]
    if variations:
        fields.append(field_part("variations", str(variations)))
    answer = site.post(*files, *fields)
    assert answer.status_code == 202, answer.json
    return str(answer.json["jobId"])


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
