"""HTTP in and out of jobs: a view reads the request, calls the steps, answers."""

from flask import Blueprint, Request, Response, current_app, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from jobserver import uploads
from jobserver.auth import audit
from jobserver.db import Connection, exclusive, removing
from jobserver.errors import InvalidOption, JobEnded, JobNotFound, NothingToRetry
from jobserver.jobs import queries, queue, quota, retention, search, shots, standing, workers
from jobserver.jobs.model import Job
from jobserver.jobs.queries import Place
from jobserver.jobs.quota import SpaceLimits
from jobserver.jobs.search import Wanted
from jobserver.web import idempotency, params, pieces, polling, reasons, schemas, shapes
from jobserver.web.auth import require_auth
from jobserver.web.bearers import actor, bearer
from jobserver.web.conditional import conditional, conditional_json, json_body
from jobserver.web.context import current_settings, get_db, get_store
from jobserver.web.from_uploads import create_from_uploads
from jobserver.web.idempotency import Attempt
from jobserver.web.links import links
from jobserver.web.polling import Seen
from jobserver.web.submission import (
    Wishes,
    accept,
    accepted_body,
    files_of_form,
    insert,
    make_draft,
    require_room,
)

bp = Blueprint("jobs", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth)  # before anything of a body is read


class UploadRequest(Request):
    """A request whose multipart form streams into the store when it is first looked at."""

    def make_form_data_parser(self) -> uploads.UploadParser:
        """Return the parser that keeps this server's limits.

        What is received again for a key that has its job is kept nowhere.
        """
        attempt: Attempt = g.get("attempt") or Attempt(None)
        return uploads.UploadParser(
            uploads.Nowhere() if attempt.kept else get_store(),
            _upload_limits(),
            fingerprint=attempt.fingerprint,
            on_chunk=attempt.renew,
        )


@bp.post("")
def create_job() -> ResponseReturnValue:
    """Accept videos and queue one job: 202 and Location; 400, 408, 413, 503 or 507 as JSON.

    A body of JSON names resumable uploads, see from_uploads.py; any other is a form. With
    Idempotency-Key a second request gets the first one's 202; 409 or 422.
    """
    if request.mimetype == "application/json":
        return create_from_uploads()
    store, settings = get_store(), current_settings()
    slots, upload_limits = current_app.extensions["upload_slots"], _upload_limits()
    with (
        idempotency.attempt() as attempt,
        uploads.upload_slot(slots, upload_limits, request.content_length),
    ):
        g.attempt = attempt
        if attempt.kept:
            request.form  # noqa: B018  reads the body, for its fingerprint
            return attempt.replay()
        db = get_db()
        require_room(db, incoming=1)
        limits, size = SpaceLimits.of(settings), request.content_length or 0
        quota.make_room(db, store, limits, size, now=db.clock())
        with uploads.receive(request, store) as form:  # the body: whole, durable files, or none
            draft = make_draft(files_of_form(form), Wishes.of_form(form.fields))
            body = accepted_body(draft, params.ignored_fields(form.fields))
            evicted = insert(db, draft, lambda: attempt.keep(draft.id, body))
    return accept(db, draft, evicted, body)


@bp.get("/<job_id>")
def show_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 with the job, its files and outputs, 304 when its ETag is right, or 404.

    `?outputs=false` leaves the outputs out. See polling.py, which answers most of it.
    """
    outputs = params.shows_outputs(request.args.get("outputs"))
    seen = request.environ.get(polling.LOOKED) or _look(job_id, outputs)
    if seen is None:  # none, or another program has just made it
        return conditional_json(_job_json(get_db(), job_id, None, outputs))

    def make_body() -> bytes:
        body = json_body(_job_json(get_db(), job_id, seen, outputs))
        current_app.extensions["answers"].keep(seen.etag, body)
        return body

    return conditional(seen.etag, make_body)


@bp.get("")
def list_jobs() -> ResponseReturnValue:
    """Answer 200 with at most `limit` jobs, newest first, or 304; Link leads to those after.

    `?status=` and `?q=` list those alone that are in that state, and whose title or file names
    contain that; see jobs/search.py.
    """
    db, link, query = get_db(), links(), request.args
    limit = params.page_size(query.get("limit"))
    wanted = Wanted(params.job_status(query.get("status")), params.search(query.get("q")))
    jobs, rest_before = search.page(db, _place_of(db, query.get("before")), limit, wanted)
    files = queries.file_summaries(db, [job.id for job in jobs])
    waiting = _reasons(db, jobs)
    lifetime_s = current_settings().job_lifetime
    page = [
        schemas.summary_json(
            job, files[job.id], lifetime_s=lifetime_s, link=link, waits_for=waiting.get(job.id)
        )
        for job in jobs
        if files[job.id]  # else it was removed since
    ]
    if rest_before is None:
        return conditional_json(page)
    rest = url_for(
        "jobs.list_jobs", limit=limit, before=rest_before, status=wanted.status, q=wanted.words
    )
    return conditional_json(page, {"Link": f'<{rest}>; rel="next"'})


@bp.post("/<job_id>/cancel")
def cancel_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 once nothing more of the job will be rendered; 404, or 409 when it has ended."""
    db = get_db()
    job = _job_or_404(db, job_id)
    with removing(db, "queue"):
        now = db.clock()
        count = queue.cancel(db, job_id, now)
        if count:
            audit.record(db, actor(), "job.cancel", now, job_id=job_id)
        unneeded = shots.drop_unneeded(db, job_id)
    if not count:
        raise JobEnded
    shots.delete_files(get_store(), unneeded)
    return jsonify(schemas.cancelled_json(job, len(queries.outputs_of(db, job_id)), now))


@bp.post("/<job_id>/retry")
def retry_job(job_id: str) -> ResponseReturnValue:
    """Answer 202 with the job, failed and cancelled files queued again; 404, 409, 429 or 503.

    A key that may not read is not shown the job.
    """
    db = get_db()
    _job_or_404(db, job_id)
    with exclusive(db, "queue"):
        now = db.clock()
        count = queue.retry(db, job_id, now)
        if not count:
            raise NothingToRetry
        audit.record(db, actor(), "job.retry", now, job_id=job_id)
        settings = current_settings()
        queue.require_room(db, settings.max_queued_files, incoming=0)
        most = settings.max_queued_files_per_key
        standing.require_room_of_key(db, standing.key_of(db, job_id), most, incoming=0)
    current_app.extensions["ring"](count)
    if "read" not in bearer().scopes:
        return jsonify(jobId=job_id, status="queued"), 202
    body = json_body(_job_json(db, job_id, _look(job_id)))
    return Response(body, 202, mimetype="application/json")


@bp.delete("/<job_id>")
def delete_job(job_id: str) -> ResponseReturnValue:
    """Answer 200 once the job is gone, cancelled first when it runs; 404.

    Its files go as well, at the latest in the next round of a worker.
    """
    db = get_db()
    now = db.clock()

    def record() -> None:
        audit.record(db, actor(), "job.delete", now, job_id=job_id)

    if not retention.delete(db, get_store(), job_id, now, also=record):
        raise JobNotFound
    answer: shapes.DeletedJob = {"jobId": job_id, "status": "deleted"}
    return jsonify(answer)


def _upload_limits() -> uploads.UploadLimits:
    limits: uploads.UploadLimits = current_app.extensions["upload_limits"]
    return limits


def _job_or_404(db: Connection, job_id: str) -> Job:
    job = queries.find_job(db, job_id)
    if job is None:
        raise JobNotFound
    return job


def _look(job_id: str, outputs: bool = True) -> Seen | None:
    app, prefix = current_app, request.script_root
    return polling.look(app, job_id, prefix=prefix, outputs=outputs)


def _job_json(db: Connection, job_id: str, seen: Seen | None, outputs: bool = True) -> shapes.Job:
    """Describe all of a job, in as few statements as its state allows. Raises JobNotFound.

    seen: what was seen just before. What it has of others, as the place, is taken from there;
    rows that have changed since are those of a later ETag.
    """
    with db.reading:
        state = queries.job_state(db, job_id, None if seen is None else seen.glance)
    if state is None:
        raise JobNotFound
    link = links()
    brief = pieces.of_brief(db, state.job)
    begun = any(file.status != "queued" or file.progress for file in state.files)
    return schemas.job_json(
        state,
        pieces.of_outputs(db, state, link) if begun and outputs else {},
        workers=0 if seen is None else seen.glance.workforce.threads,
        lifetime_s=current_settings().job_lifetime,
        link=link,
        waits_for=None if seen is None or state.job.ended else seen.reason,
        variations_left=None if seen is None else seen.glance.variations_left,
        counts=None if outputs else queries.output_counts(db, job_id),
        failed=queries.failed_outputs(db, job_id) if brief else (),
        brief=brief,
    )


def _reasons(db: Connection, jobs: list[Job]) -> dict[str, shapes.Reason]:
    """Return what each of these jobs waits for beside its turn, if anything, by id."""
    waiting = [job.id for job in jobs if not job.ended]
    if not waiting:
        return {}
    now = db.clock()
    return reasons.of_jobs(db, workers.workforce(db, now), waiting, now)


def _place_of(db: Connection, before: str | None) -> Place | None:
    """Return where a page ends that `before` names. Raises InvalidOption."""
    place = None if before is None else queries.place_of(db, before)
    if place is None and before is not None:
        raise InvalidOption("before must be the id of a job")
    return place
