"""A new job over the files of another one: nothing is uploaded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from jobserver import uploads
from jobserver.brief.model import Brief
from jobserver.brief.stored import to_document
from jobserver.db import Connection
from jobserver.errors import JobNotFound, SourcesGone
from jobserver.files.keys import source_key
from jobserver.files.store import Store
from jobserver.jobs import queries, quota, webhooks
from jobserver.jobs.model import Job, NewFile, Webhook
from jobserver.jobs.quota import SpaceLimits
from jobserver.web import idempotency, params
from jobserver.web.auth import require_auth
from jobserver.web.body import json_object
from jobserver.web.context import current_settings, get_db, get_store
from jobserver.web.idempotency import Attempt
from jobserver.web.schemas import wished_variations
from jobserver.web.submission import (
    Wishes,
    accept,
    accepted_body,
    brief_of,
    insert,
    make_draft,
    require_room,
    text_of,
)

MAX_BODY_SIZE = 128 * 1024  # bytes; a brief has half of it

bp = Blueprint("again", __name__, url_prefix="/api/jobs")
bp.before_request(require_auth)


@bp.post("/<job_id>/again")
def make_again(job_id: str) -> ResponseReturnValue:
    """Answer 202 with a new job over the kept files of this one; 400, 404, 409, 503 or 507.

    Body: a JSON object with `brief`, `variations`, `recipe`, `seed`, `title`, `webhook` and
    `webhookEvents`. What it leaves out is as it was, but a new brief leaves no variations, no
    webhook has no events; `null` is what an upload without the field would be.
    With Idempotency-Key a second request gets the first one's 202; 409 or 422.
    """
    with idempotency.attempt() as attempt:
        given = json_object(MAX_BODY_SIZE)
        asked = uploads.of_json([job_id, given])
        return attempt.replay(asked) if attempt.kept else _make(job_id, given, attempt, asked)


def _make(
    job_id: str, given: Mapping[str, Any], attempt: Attempt, asked: str
) -> ResponseReturnValue:
    """Make the new job. asked: the fingerprint of the request."""
    db, store, settings = get_db(), get_store(), current_settings()
    job = queries.find_job(db, job_id)
    if job is None:
        raise JobNotFound
    wishes = _wishes(job, brief_of(db, job), webhooks.find(db, job_id), given)
    draft = make_draft(_kept_files(db, job_id, wishes), wishes, unused_allowed=True)
    require_room(db, len(draft.files))
    slots, limits = (current_app.extensions[name] for name in ("upload_slots", "upload_limits"))
    with uploads.upload_slot(slots, limits, None):  # a store may take its time to copy
        quota.make_room(db, store, SpaceLimits.of(settings), 0, now=db.clock())
        with _copied(store, draft.files) as files:
            draft = draft._replace(files=files)
            body = accepted_body(draft, params.ignored_fields(given))
            evicted = insert(
                db, draft, lambda: attempt.keep(draft.id, body, asked), action="job.again"
            )
    return accept(db, draft, evicted, body)


def _kept_files(db: Connection, job_id: str, wishes: Wishes) -> list[NewFile]:
    """Return the files of a job that a new one may have: without a brief its videos."""
    return [
        NewFile(file.id, file.name, file.stored_name, file.size, role=file.role)
        for file in queries.files_of(db, job_id)
        if wishes.brief is not None or file.role == "video"
    ]


def _wishes(
    job: Job, brief: Brief | None, webhook: Webhook | None, given: Mapping[str, Any]
) -> Wishes:
    """Return what is asked for of the new job. brief, webhook: of the other one.

    Raises InvalidOption.
    """
    before: dict[str, Any] = {
        "variations": wished_variations(job, brief),
        "recipe": job.recipe,
        "seed": job.seed,
        "title": job.title,
        "webhook": webhook and webhook.url,
        "brief": brief and to_document(brief),
    }
    events = webhook and webhook.events
    if given.get("webhook", webhook) is None:
        events = None
    if given.get("brief") is not None:
        before["variations"] = None
    elif "recipe" in given and before["brief"]:
        before["brief"] |= {"recipe": None}
    wanted = {name: given.get(name, value) for name, value in before.items()}
    texts = {name: text_of(name, value) for name, value in wanted.items() if name != "brief"}
    events = given.get("webhookEvents", events)
    return Wishes(**texts, brief=wanted["brief"], webhook_events=events)


@contextmanager
def _copied(store: Store, files: Sequence[NewFile]) -> Iterator[list[NewFile]]:
    """Give copies of files inside `with`, which stay unless it raises. Raises SourcesGone."""
    with ExitStack() as held:
        try:
            copies = []
            for file in files:
                copies.append(store.copy_upload(source_key(file.stored_name)))
                held.callback(copies[-1].discard)
            held.enter_context(uploads.committed(store, copies))
        except FileNotFoundError as error:
            raise SourcesGone from error
        yield [
            file._replace(id=copy.id, stored_name=copy.stored_name)
            for file, copy in zip(files, copies, strict=True)
        ]
