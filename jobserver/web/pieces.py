"""The JSON of a job's outputs and brief, kept encoded: they hardly change, and a job may have 500.

What is kept is found by all that it depends on: the output, which sibling is nearest to it, the
name of its source with the title of its job, and a link of the job, which has our prefix, its key
and its window. Nothing kept is ever wrong, so nothing is thrown away but for its size.
"""

import hashlib
from collections import defaultdict
from typing import TypeAlias

import orjson
from flask import current_app

from jobserver.brief.stored import to_document
from jobserver.db import Connection
from jobserver.jobs import queries
from jobserver.jobs.model import Job, JobState, Output
from jobserver.web import names, schemas
from jobserver.web.hot_path import to_json
from jobserver.web.polling import Answers
from jobserver.web.schemas import Link, ShownBrief
from jobserver.web.submission import brief_of

Pieces: TypeAlias = dict[str, list[orjson.Fragment]]


def of_outputs(db: Connection, state: JobState, link: Link) -> Pieces:
    """Return the JSON of each output, by number, by the id of the file; see schemas.output_json.

    Only ids are read when all of them are kept.
    """
    kept: Answers = current_app.extensions["pieces"]
    job_id, stems = state.job.id, names.stems(state.files, state.job.title)
    window = link("outputs.download", job_id=job_id)
    keys = {file_id: _key(window, stem) for file_id, stem in stems.items()}
    with db.reading:
        ids = queries.output_ids(db, job_id)
    found = [
        (file_id, body)
        for file_id, output_id, nearest in ids
        if (body := kept.get(keys[file_id] + output_id + nearest)) is not None
    ]

    def body_of(output: Output) -> bytes:
        key = keys[output.file_id] + output.id + (output.nearest_output or "")
        body = kept.get(key)
        if body is None:
            body = to_json(schemas.output_json(job_id, output, stems[output.file_id], link))
            kept.keep(key, body)
        return body

    if len(found) < len(ids):
        found = [(each.file_id, body_of(each)) for each in queries.outputs_of(db, job_id)]
    pieces: Pieces = defaultdict(list)
    for file_id, body in found:
        pieces[file_id].append(orjson.Fragment(body))
    return pieces


def of_brief(db: Connection, job: Job) -> ShownBrief | None:
    """Return what is shown of a job's brief, which never changes; None without one."""
    if job.total_outputs is None:
        return None
    kept: Answers = current_app.extensions["pieces"]
    keys = f"{job.id} brief", f"{job.id} looks"
    document, looks = map(kept.get, keys)
    if document is None or looks is None:
        brief = brief_of(db, job)
        if brief is None:
            return None
        document = to_json(to_document(brief))
        looks = to_json(schemas.wished_variations(job, brief))
        for key, body in zip(keys, (document, looks), strict=True):
            kept.keep(key, body)
    return ShownBrief(orjson.Fragment(document), orjson.Fragment(looks))


def _key(window: str, stem: str) -> str:
    return hashlib.sha256(repr((window, stem)).encode()).hexdigest()[:32]
