"""HTTP in and out of jobs: a view reads the request, calls the steps, answers."""

import hashlib
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Request, Response, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from jobserver.auth import link_signer, require_auth, require_auth_or_link
from jobserver.db import get_db, reading, transaction
from jobserver.errors import (
    InvalidPage,
    JobEnded,
    JobExpired,
    JobNotFound,
    NothingToRetry,
    NothingYet,
    OutputGone,
    OutputNotFound,
)
from jobserver.ids import generate_id
from jobserver.jobs import delivery, expiry, intake, sending, store, told
from jobserver.jobs.order import parse_order

PAGE_SIZE = 50
EMPTY: Mapping[str, str] = {}
to_json = json.JSONEncoder(separators=(",", ":")).encode  # one for all answers

LINKED = {
    "jobs.get_output",
    "jobs.output_thumbnail",
    "jobs.get_source",
    "jobs.file_thumbnail",
    "jobs.download",
}

bp = Blueprint("jobs", __name__, url_prefix="/api/jobs")


storage_bp = Blueprint("storage", __name__, url_prefix="/api/storage")
storage_bp.before_request(require_auth)


@bp.before_request
def _admit() -> None:
    """Ask for a token, or for a signed address where one may stand in for it.

    Ahead of everything, so no byte of a body is read before.
    """
    if request.endpoint in LINKED:
        require_auth_or_link()
    else:
        require_auth()


class UploadRequest(Request):
    """A request whose multipart form streams into UPLOAD_DIR when it is first looked at."""

    def make_form_data_parser(self) -> intake.UploadParser:
        """Return the parser that keeps this server's limits."""
        return intake.UploadParser(current_app.extensions["intake"])


@bp.post("")
def create_job() -> ResponseReturnValue:
    """Accept videos and queue one job: 202 and Location; 400, 408, 413, 503 or 507 as JSON."""
    limits, storage = current_app.extensions["intake"], expiry.Storage.of(current_app.config)
    job_id = generate_id()
    with intake.admitted(limits, request.content_length, partial(_admit_bytes, storage)):
        order = parse_order(request.form, new_seed=secrets.randbits(32))
        with intake.received(limits, request.files.getlist("videos")) as uploads:
            db, now = get_db(), time.time()
            expiry.make_room(db, storage, sum(upload.size for upload in uploads), now)
            store.insert_job(db, job_id, uploads, order, storage.quota, now)
    status_url = url_for("jobs.show_job", job_id=job_id)
    return jsonify(told.accepted(job_id, uploads, order, status_url)), 202, {"Location": status_url}


@bp.get("/<job_id>")
def show_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 with the job, its files and outputs, 304 when its ETag is right, or 404."""
    return _conditional(_told(get_db(), job_id))


@bp.get("")
def list_jobs() -> ResponseReturnValue:
    """Answer 200 with at most `limit` jobs, newest first, or 304; Link leads to those after."""
    db = get_db()
    limit = _page_size(request.args.get("limit"))
    jobs = _jobs_on_page(db, request.args.get("before"), limit + 1)
    files = store.files_of_jobs(db, [job["id"] for job in jobs[:limit]])
    lifetime_s, link = current_app.config["JOB_LIFETIME"], _links()
    page = [
        told.summary(job, files[job["id"]], lifetime_s, link)
        for job in jobs[:limit]
        if files[job["id"]]  # else it was removed since
    ]
    if len(jobs) <= limit:
        return _conditional(page)
    rest = url_for("jobs.list_jobs", limit=limit, before=jobs[limit - 1]["id"])
    return _conditional(page, {"Link": f'<{rest}>; rel="next"'})


@bp.post("/<job_id>/cancel")
def cancel_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 once nothing more of the job will be rendered; 404, or 409 when it has ended."""
    db, now = get_db(), time.time()
    job = _found(job_id)
    with transaction(db):
        count = store.cancel(db, job_id, now)
    if not count:
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


@bp.delete("/<job_id>")
def delete_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 once the job is gone, cancelled first when it runs; 404.

    Its files go as well, at the latest in the next round of a worker.
    """
    if not expiry.delete(get_db(), expiry.Storage.of(current_app.config), job_id, time.time()):
        raise JobNotFound
    return jsonify(jobId=job_id, status="deleted")


@bp.get("/<job_id>/outputs/<output_id>")
def get_output(job_id: str, output_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with one variation; 404, 410 or 416. `?inline=1` for players."""
    output = _output_or_404(job_id, output_id)
    inline = request.args.get("inline") == "1"
    name = delivery.content_disposition(delivery.download_name(output), inline)
    headers = {"Content-Disposition": name, "Content-Type": "video/mp4"}
    return _send(job_id, output["name"], output["sha256"], output["created_at"], headers)


@bp.get("/<job_id>/outputs/<output_id>/thumbnail")
def output_thumbnail(job_id: str, output_id: str) -> ResponseReturnValue:
    """Answer 200 with a WebP of one variation, or 304; 404 or 410."""
    output = _output_or_404(job_id, output_id)
    return _send_picture(job_id, output["thumbnail"], output["sha256"], output["created_at"])


@bp.get("/<job_id>/files/<file_id>")
def get_source(job_id: str, file_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with a video as it was sent; 404, 410 or 416. For players."""
    job = _kept(job_id)
    found = [file for file in store.files_of(get_db(), job_id) if file["id"] == file_id]
    if not found:
        raise OutputNotFound
    name = delivery.content_disposition(found[0]["name"], request.args.get("inline") == "1")
    headers = {"Content-Disposition": name, "Content-Type": "video/mp4"}
    path = current_app.config["UPLOAD_DIR"] / found[0]["stored_name"]
    return sending.send_file(request, path, file_id, job["created_at"], headers, accel=None)


@bp.get("/<job_id>/files/<file_id>/thumbnail")
def file_thumbnail(job_id: str, file_id: str) -> ResponseReturnValue:
    """Answer 200 with a WebP of a source, or 304; 404 or 410."""
    job = _kept(job_id)
    names = {file["id"]: file["thumbnail"] for file in store.files_of(get_db(), job_id)}
    return _send_picture(job_id, names.get(file_id), file_id, job["created_at"])


def _send_picture(
    job_id: str, name: str | None, source: str, modified: float
) -> ResponseReturnValue:
    if name is None:
        raise OutputNotFound
    return _send(job_id, name, f"{source}-thumbnail", modified, {"Content-Type": "image/webp"})


def _send(
    job_id: str, name: str, etag: str, modified: float, headers: dict[str, str]
) -> ResponseReturnValue:
    path = _job_folder(job_id) / name
    accel = current_app.config["ACCEL_REDIRECT"]
    return sending.send_file(request, path, etag, modified, headers, accel)


@bp.get("/<job_id>/download")
def download(job_id: str) -> ResponseReturnValue:
    """Answer 200, 206 or 304 with a ZIP of all that is whole; 404, 409, 410 or 416."""
    db, job = get_db(), _kept(job_id)
    outputs = store.outputs_of(db, job_id)
    if not outputs:
        raise NothingYet
    try:
        files = store.files_of(db, job_id)
        archive, etag = delivery.archive_of(job, files, outputs, _job_folder(job_id))
    except FileNotFoundError as error:
        raise OutputGone from error
    name = delivery.content_disposition(f"{job_id}.zip", inline=False)
    headers = {"Content-Disposition": name, "Content-Type": "application/zip"}
    return sending.send_archive(request, archive, etag, headers)


@storage_bp.get("")
def show_storage() -> ResponseReturnValue:
    """Answer 200 with bytes used by jobs, the quota (null: none), bytes free, and jobs."""
    db, storage = get_db(), expiry.Storage.of(current_app.config)
    return jsonify(
        used=store.used_bytes(db),
        quota=storage.quota or None,
        free=max(0, storage.free() - storage.min_free),
        jobs=store.count_jobs(db),
    )


def _conditional(data: Any, headers: Mapping[str, str] = EMPTY) -> ResponseReturnValue:
    """Answer with JSON and its ETag, which covers `headers` too; a 304 to who has that one."""
    body = to_json(data).encode() + b"\n"
    etag = hashlib.sha256(b"".join((body, *(value.encode() for value in headers.values()))))
    response = Response(body, mimetype="application/json", headers=dict(headers))
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(etag.hexdigest()[:32])
    return response.make_conditional(request) if request.if_none_match else response


def _found(job_id: str) -> sqlite3.Row:
    job = store.find_job(get_db(), job_id)
    if job is None:
        raise JobNotFound
    return job


def _kept(job_id: str) -> sqlite3.Row:
    """Return a job whose files are asked for; tell one that has expired from one never known."""
    job = store.find_job(get_db(), job_id)
    if job is None:
        raise JobExpired if store.has_expired(get_db(), job_id) else JobNotFound
    return job


def _told(db: sqlite3.Connection, job_id: str) -> dict[str, Any]:
    """Return all of a job, in as few statements as its state allows. Raises JobNotFound."""
    with reading:
        files = store.files_of(db, job_id)
    if not files or files[0]["removed_at"] is not None:
        raise JobNotFound
    begun = any(file["status"] != "queued" or file["progress"] for file in files)
    outputs = store.outputs_of(db, job_id) if begun else []
    waiting = None
    if files[0]["job_status"] not in told.ENDED:
        waiting = told.Waiting.of(files[0], current_app.config["WORKERS"])
    return told.job(files, outputs, waiting, current_app.config["JOB_LIFETIME"], _links())


def _links() -> told.Link:
    """Return what makes signed addresses of files; only the path below our prefix is signed."""
    prefix, signed = request.script_root, link_signer(time.time())

    def link(endpoint: str, **ids: str) -> str:
        return prefix + signed(_pattern(endpoint).format(**ids))

    return link


@cache
def _pattern(endpoint: str) -> str:
    """Return the route of an endpoint as a format; for 400 links url_for() costs milliseconds."""
    rule = next(current_app.url_map.iter_rules(endpoint)).rule
    return re.sub(r"<(\w+)>", r"{\1}", rule)


def _admit_bytes(storage: expiry.Storage, size: int) -> bool:
    return expiry.admit(get_db(), storage, size, time.time())


def _job_folder(job_id: str) -> Path:
    folder: Path = current_app.config["OUTPUT_DIR"] / job_id
    return folder


def _output_or_404(job_id: str, output_id: str) -> sqlite3.Row:
    found = store.find_output(get_db(), job_id, output_id)
    if found is None:
        raise JobExpired if store.has_expired(get_db(), job_id) else OutputNotFound
    return found


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    digits = text.lstrip("0")[:9]  # more are more than enough
    if not text.isdecimal() or not digits:
        raise InvalidPage("limit must be a whole number of at least 1")
    return min(int(digits), PAGE_SIZE)


def _jobs_on_page(db: sqlite3.Connection, before: str | None, limit: int) -> list[sqlite3.Row]:
    if before is None:
        return store.newest_jobs(db, limit)
    place = store.place_of(db, before)
    if place is None:
        raise InvalidPage("before must be the id of a job")
    return store.jobs_before(db, place, limit)
