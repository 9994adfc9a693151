"""What a client asks for becomes a draft of a job, and the draft a promise."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from flask import current_app, url_for
from flask.typing import ResponseReturnValue

from jobserver.auth import audit
from jobserver.auth.audit import Action
from jobserver.brief.model import ROLE_OF, Brief, Part, Plan, Sources
from jobserver.brief.parse import parse, used
from jobserver.brief.plan import plan
from jobserver.brief.stored import dump, load
from jobserver.db import Connection, DatabaseError, exclusive
from jobserver.errors import InvalidOption
from jobserver.ids import generate_id
from jobserver.jobs import queries, queue, quota, resumable, retention, standing, workers
from jobserver.jobs.model import Job, JobDraft, NewFile
from jobserver.jobs.quota import SpaceLimits
from jobserver.uploads import ReceivedForm
from jobserver.web import params, schemas
from jobserver.web.bearers import actor, bearer, confirm
from jobserver.web.context import current_settings, get_store
from jobserver.web.fonts import cannot_draw
from jobserver.web.idempotency import accepted

# Versions of the database from which workers know them; the first two recipes all of them know.
BRIEFS, RECIPES, WEBHOOKS = 10, 11, 12
FIRST_RECIPES = ("subtle", "classic")
_FORM_NAMES = {"webhook_events": "webhookEvents"}  # of fields that are named otherwise here


class Wishes(NamedTuple):
    """What is asked for beside files, as the fields of a form say it; None: nothing is said.

    brief: JSON text, or its decoded value. webhook_events: a text, or a list of texts.
    """

    variations: str | None
    recipe: str | None
    seed: str | None
    title: str | None
    brief: Any
    webhook: str | None = None
    webhook_events: Any = None

    @classmethod
    def of_form(cls, fields: Mapping[str, str]) -> "Wishes":
        """Take them from the form of an upload, where an empty field says nothing."""
        texts = (fields.get(_FORM_NAMES.get(name, name), "") for name in cls._fields)
        return cls(*(text if text.strip() else None for text in texts))

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Wishes":
        """Take them from a JSON object, where null says nothing. Raises InvalidOption."""
        names = (name for name in cls._fields if name not in ("brief", "webhook_events"))
        texts = {name: text_of(name, given.get(name)) for name in names}
        events = given.get("webhookEvents")
        return cls(**texts, brief=given.get("brief"), webhook_events=events)


def text_of(name: str, value: Any) -> str | None:
    """Return a value of JSON as the field of a form would have it. Raises InvalidOption."""
    if name == "recipe" and isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise InvalidOption(f"{name} must be a text or a whole number")
    return None if value is None else str(value)


def files_of_form(form: ReceivedForm) -> list[NewFile]:
    """Return the uploads of a form, its videos first."""
    return [
        NewFile(file.id, file.name, file.stored_name, file.size, role=ROLE_OF[file.field])
        for file in form.files
    ]


def make_draft(
    files: Sequence[NewFile], wishes: Wishes, *, unused_allowed: bool = False
) -> JobDraft:
    """Return the job that is asked for. files: its videos first.

    unused_allowed: files that the brief does not use are left out, else refused.
    Raises InvalidOption or BriefError.
    """
    fields = {name: text for name, text in wishes._asdict().items() if text is not None}
    options = params.job_options(fields, new_seed=secrets.randbits(32))
    title = params.title(wishes.title)
    allowed = current_settings().webhook_allow
    webhook = params.webhook(wishes.webhook, wishes.webhook_events, allowed)
    draft = JobDraft(generate_id(), list(files), options, title=title, webhook=webhook)
    if wishes.brief is None and not draft.assets:
        return draft
    sources = _sources(files)
    brief = parse(
        {} if wishes.brief is None else wishes.brief,
        sources,
        variations=params.looks(wishes.variations),
        recipe=options.recipe,
        unused_allowed=unused_allowed,
        cannot_draw=cannot_draw,
    )
    needed = used(brief, sources)
    planned = plan(brief, needed, current_settings().max_outputs, title)
    return draft._replace(
        files=list(_planned(files, needed, planned)),
        options=options._replace(variations=planned.variations_per_video, recipe=brief.recipe),
        brief=dump(brief),
        total_outputs=planned.total,
    )


def _sources(files: Sequence[NewFile]) -> Sources:
    by_field = {
        field: tuple(Part(file.name) for file in files if file.role == role)
        for field, role in ROLE_OF.items()
    }
    return Sources(**by_field)


def _planned(files: Sequence[NewFile], needed: Sources, planned: Plan) -> list[NewFile]:
    """Return the files that are needed, each with how many outputs are planned of it."""
    counts = Counter(output.video for output in planned.outputs)
    kept = [file for file in files if Part(file.name) in needed.of_role(file.role)]
    return [
        file._replace(planned=counts[place] if file.role == "video" else 0)
        for place, file in enumerate(kept)
    ]


def brief_of(db: Connection, job: Job) -> Brief | None:
    """Return the brief of a job, or None without one."""
    text = None if job.total_outputs is None else queries.brief_of(db, job.id)
    return None if text is None else load(text)


def accepted_body(draft: JobDraft, ignored_fields: Sequence[str]) -> str:
    """Return the JSON of the 202 for a job."""
    status_url = url_for("jobs.show_job", job_id=draft.id)
    answer = schemas.accepted_json(draft, status_url, ignored_fields)
    return current_app.json.dumps(answer, separators=(",", ":")) + "\n"  # as jsonify() does


def _version_needed(draft: JobDraft) -> int:
    """Return which version of the database a worker must know to render a job; 0: any."""
    needed = [0]
    if draft.brief is not None:
        needed.append(BRIEFS)
    if draft.options.recipe not in FIRST_RECIPES:
        needed.append(RECIPES)
    if draft.webhook is not None:
        needed.append(WEBHOOKS)
    return max(needed)


def insert(
    db: Connection,
    draft: JobDraft,
    also: Callable[[], None] = lambda: None,
    *,
    action: Action = "job.create",
    from_uploads: bool = False,
) -> int:
    """Queue a job whose files are durable; return how many others were marked to make room.

    also: what is written in the same transaction, once the job is there. action: for the audit.
    from_uploads: its files are resumable uploads, counted already, and taken in the same
    transaction.
    Raises QueueFull, KeyQueueFull, OldWorker, QuotaExceeded or LargerThanQuota, InvalidToken when
    the token is void by now, what `also` raises, and for uploads what resumable.find_usable()
    raises.
    """
    settings, asked_by = current_settings(), bearer()
    draft = draft._replace(key_id=asked_by.key_id)
    with exclusive(db, "quota"):
        now = db.clock()
        confirm(db, asked_by)
        workers.require_version(db, _version_needed(draft), now)
        require_room(db, len(draft.files))
        uploads = [file.id for file in draft.files] if from_uploads else []
        for upload_id in uploads:
            resumable.find_usable(db, upload_id)
        incoming = 0 if from_uploads else draft.size
        evicted = quota.reserve(db, SpaceLimits.of(settings), incoming, now)
        queue.insert_job(db, draft, now)
        audit.record(db, actor(), action, now, job_id=draft.id)
        resumable.use(db, uploads, draft.id)
        also()
    return evicted


def require_room(db: Connection, incoming: int) -> None:
    """Raise QueueFull or KeyQueueFull when so many files more may not wait."""
    settings = current_settings()
    queue.require_room(db, settings.max_queued_files, incoming)
    most = settings.max_queued_files_per_key
    standing.require_room_of_key(db, bearer().key_id, most, incoming)


def accept(db: Connection, draft: JobDraft, evicted: int, body: str) -> ResponseReturnValue:
    """Answer 202 and Location for a job that was queued; call workers, remove what must go."""
    current_app.extensions["ring"](len(draft.files))
    if evicted:
        with suppress(DatabaseError, OSError):  # the job is promised; the housekeeping goes on
            retention.remove_marked(db, get_store(), db.clock())
    return accepted(body)
