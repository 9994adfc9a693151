"""HTTP out of how far the outputs of one main clip are from each other."""

import hashlib
from base64 import b64decode

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue

from jobserver.errors import InvalidOption, JobNotFound, OutputNotFound
from jobserver.jobs import differences, queries
from jobserver.jobs.model import File
from jobserver.render.measure import matrix
from jobserver.web.auth import require_auth
from jobserver.web.conditional import conditional, json_body
from jobserver.web.context import get_db

DIGITS = 2

bp = Blueprint("differences", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth)


@bp.get("/<job_id>/differences")
def show_differences(job_id: str) -> ResponseReturnValue:
    """Answer 200 with `{"outputs": [ids], "bits": [[...]]}`, or 304; 400 or 404.

    `?file=` is one of the job's main clips; it may be left out when there is but one. Outputs of
    before they were measured are not among them.
    """
    db = get_db()
    file = _chosen(queries.videos_of(db, job_id) if queries.find_job(db, job_id) else [])
    outputs = differences.hashed_outputs(db, file.id)
    text = " ".join([file.id, *(output.hashes for output in outputs)])
    etag = hashlib.sha256(text.encode()).hexdigest()[:32]
    kept = current_app.extensions["pieces"]

    def make_body() -> bytes:
        body = kept.get(f"differences {etag}")
        if body is None:
            rows = matrix([b64decode(output.hashes) for output in outputs])
            bits = [[round(each, DIGITS) for each in row] for row in rows]
            body = json_body({"outputs": [output.id for output in outputs], "bits": bits})
            kept.keep(f"differences {etag}", body)
        return bytes(body)

    return conditional(etag, make_body)


def _chosen(videos: list[File]) -> File:
    """Return the main clip that is asked for. Raises JobNotFound without any."""
    if not videos:
        raise JobNotFound
    asked = request.args.get("file")
    if asked is None and len(videos) > 1:
        raise InvalidOption("file must be the id of one of the job's main clips")
    for file in videos:
        if asked in (None, file.id):
            return file
    raise OutputNotFound
