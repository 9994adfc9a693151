"""HTTP in and out of jobs: a view reads the request, calls the steps, answers."""

import hashlib
import math
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Request, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from jobserver.auth import require_auth
from jobserver.db import get_db
from jobserver.errors import InvalidPage, JobNotFound
from jobserver.ids import generate_id
from jobserver.jobs import intake, store

PAGE_SIZE = 50
DEFAULT_VARIATIONS = 5
MAX_VARIATIONS = 20

bp = Blueprint("jobs", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth)  # ahead of everything, so no byte of the body is read


class UploadRequest(Request):
    """A request whose multipart form streams into UPLOAD_DIR when it is first looked at."""

    def make_form_data_parser(self) -> intake.UploadParser:
        """Return the parser that keeps this server's limits."""
        return intake.UploadParser(current_app.extensions["intake"])


@bp.post("")
def create_job() -> ResponseReturnValue:
    """Accept videos and queue one job: 202 and Location; 400, 408, 413, 503 or 507 as JSON."""
    limits = current_app.extensions["intake"]
    job_id = generate_id()
    with intake.admitted(limits, request.content_length):
        variations = parse_variations(request.form.get("variations"))
        with intake.received(limits, request.files.getlist("videos")) as uploads:
            store.insert_job(get_db(), job_id, uploads, variations, time.time())
    accepted = _accepted(job_id, uploads, variations)
    return jsonify(accepted), 202, {"Location": accepted["statusUrl"]}


@bp.get("/<job_id>")
def show_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 with the job and its files, 304 when its ETag is still right, or 404."""
    files = store.files_of(get_db(), job_id)
    if not files:
        raise JobNotFound
    response = jsonify(_job(files, current_app.config["JOB_LIFETIME"]))
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    return response.make_conditional(request) if request.if_none_match else response


@bp.get("")
def list_jobs() -> ResponseReturnValue:
    """Answer 200 with at most `limit` jobs, newest first; Link leads to those after them."""
    db = get_db()
    limit = _page_size(request.args.get("limit"))
    jobs = _jobs_on_page(db, request.args.get("before"), limit + 1)
    response = jsonify([_summary(job) for job in jobs[:limit]])
    if len(jobs) > limit:
        rest = url_for("jobs.list_jobs", limit=limit, before=jobs[limit - 1]["id"])
        response.headers["Link"] = f'<{rest}>; rel="next"'
    return response


def parse_variations(text: str | None) -> int:
    """Return how many variations of each video `text` asks for: 5 if it is no number, 1 to 20."""
    try:
        number = float(text or "")
    except ValueError:
        return DEFAULT_VARIATIONS
    if math.isnan(number):
        return DEFAULT_VARIATIONS
    return int(min(max(number, 1), MAX_VARIATIONS))


def timestamp(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 UTC in milliseconds: 2026-01-31T12:00:00.000Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not text.isdecimal() or int(text[:9]) == 0:
        raise InvalidPage("limit must be a whole number of at least 1")
    return min(int(text[:9]), PAGE_SIZE)


def _jobs_on_page(db: sqlite3.Connection, before: str | None, limit: int) -> list[sqlite3.Row]:
    if before is None:
        return store.newest_jobs(db, limit)
    job = store.find_job(db, before)
    if job is None:
        raise InvalidPage("before must be the id of a job")
    return store.jobs_before(db, job, limit)


def _accepted(job_id: str, uploads: list[store.Upload], variations: int) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "status": "queued",
        "files": [{"id": file.id, "name": file.name, "size": file.size} for file in uploads],
        "variationsPerVideo": variations,
        "totalVariations": variations * len(uploads),
        "statusUrl": url_for("jobs.show_job", job_id=job_id),
    }


def _job(files: list[sqlite3.Row], lifetime_s: float) -> dict[str, Any]:
    job = files[0]
    return {
        "jobId": job["job_id"],
        "status": job["job_status"],
        "totalVideos": job["total_videos"],
        "totalVariations": job["total_videos"] * job["variations_per_video"],
        "files": [{key: file[key] for key in ("id", "name", "size", "status")} for file in files],
        "createdAt": timestamp(job["created_at"]),
        "expiresAt": timestamp(job["created_at"] + lifetime_s),
        "error": "Every video failed" if job["job_status"] == "failed" else None,
    }


def _summary(job: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": job["id"],
        "status": job["status"],
        "totalVideos": job["total_videos"],
        "totalVariations": job["total_videos"] * job["variations_per_video"],
        "createdAt": timestamp(job["created_at"]),
    }
