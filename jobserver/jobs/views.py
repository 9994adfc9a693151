"""HTTP in and out of jobs: a view reads the request, calls the steps, answers."""

import hashlib
import secrets
import sqlite3
import time
from typing import Any

from flask import Blueprint, Request, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from jobserver.auth import require_auth
from jobserver.db import get_db
from jobserver.errors import InvalidPage, JobEnded, JobNotFound, NothingToRetry
from jobserver.ids import generate_id
from jobserver.jobs import intake, store, told
from jobserver.jobs.order import parse_order

PAGE_SIZE = 50

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
        order = parse_order(request.form, new_seed=secrets.randbits(32))
        with intake.received(limits, request.files.getlist("videos")) as uploads:
            store.insert_job(get_db(), job_id, uploads, order, time.time())
    status_url = url_for("jobs.show_job", job_id=job_id)
    return jsonify(told.accepted(job_id, uploads, order, status_url)), 202, {"Location": status_url}


@bp.get("/<job_id>")
def show_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 with the job, its files and outputs, 304 when its ETag is right, or 404."""
    response = jsonify(_told(get_db(), job_id))
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    return response.make_conditional(request) if request.if_none_match else response


@bp.get("")
def list_jobs() -> ResponseReturnValue:
    """Answer 200 with at most `limit` jobs, newest first; Link leads to those after them."""
    db = get_db()
    limit = _page_size(request.args.get("limit"))
    jobs = _jobs_on_page(db, request.args.get("before"), limit + 1)
    response = jsonify([told.summary(job) for job in jobs[:limit]])
    if len(jobs) > limit:
        rest = url_for("jobs.list_jobs", limit=limit, before=jobs[limit - 1]["id"])
        response.headers["Link"] = f'<{rest}>; rel="next"'
    return response


@bp.post("/<job_id>/cancel")
def cancel_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 once nothing more of the job will be rendered; 404, or 409 when it has ended."""
    db, now = get_db(), time.time()
    job = _found(job_id)
    if not store.cancel(db, job_id, now):
        raise JobEnded
    return jsonify(told.cancelled(job, len(store.outputs_of(db, job_id)), now))


@bp.post("/<job_id>/retry")
def retry_job(job_id: str) -> ResponseReturnValue:
    """Answer 202 with the job, failed and cancelled files queued again; 404 or 409."""
    db = get_db()
    _found(job_id)
    if not store.retry(db, job_id):
        raise NothingToRetry
    return jsonify(_told(db, job_id)), 202


def _found(job_id: str) -> sqlite3.Row:
    job = store.find_job(get_db(), job_id)
    if job is None:
        raise JobNotFound
    return job


def _told(db: sqlite3.Connection, job_id: str) -> dict[str, Any]:
    """Return all of a job, in as few statements as its state allows. Raises JobNotFound."""
    files = store.files_of(db, job_id)
    if not files:
        raise JobNotFound
    begun = any(file["started_at"] is not None for file in files)
    outputs = store.outputs_of(db, job_id) if begun else []
    waiting = None
    if files[0]["job_status"] not in told.ENDED:
        ahead = store.work_ahead(db, job_id, files[0]["created_at"])
        waiting = told.Waiting(*ahead, current_app.config["WORKERS"])
    return told.job(files, outputs, waiting, current_app.config["JOB_LIFETIME"])


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
