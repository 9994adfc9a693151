"""A job of resumable uploads that are finished: nothing is received or copied any more."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from flask import current_app
from flask.typing import ResponseReturnValue

from jobserver import uploads
from jobserver.brief.model import ROLE_OF
from jobserver.db import Connection
from jobserver.errors import InvalidOption, NoVideos, TooManyFiles
from jobserver.jobs import ownership, queue, resumable
from jobserver.jobs.model import NewFile
from jobserver.jobs.resumable import Upload
from jobserver.uploads.kinds import FIELDS, VIDEOS
from jobserver.web import idempotency, params
from jobserver.web.body import json_object
from jobserver.web.context import current_settings, get_db, get_store
from jobserver.web.idempotency import Attempt
from jobserver.web.submission import Wishes, accept, accepted_body, insert, make_draft

MAX_BODY_SIZE = 128 * 1024  # bytes; a brief has half of it


def create_from_uploads() -> ResponseReturnValue:
    """Queue one job of the uploads that a JSON object names: 202; 400, 404, 409, 503 or 507.

    Keys: the file fields of the form, each a list of ids, and its text fields. One transaction
    makes the job and takes the uploads; whatever else is answered has changed neither.
    """
    with idempotency.attempt() as attempt:
        given = json_object(MAX_BODY_SIZE)
        asked = uploads.of_json(given)
        return attempt.replay(asked) if attempt.kept else _make(given, attempt, asked)


def _make(given: Mapping[str, Any], attempt: Attempt, asked: str) -> ResponseReturnValue:
    """Make the job. asked: the fingerprint of the request."""
    db, store, settings = get_db(), get_store(), current_settings()
    ownership.require_owner(db, store)
    chosen = _chosen(db, given)
    draft = make_draft([_file(field, upload) for field, upload in chosen], Wishes.of_json(given))
    queue.require_room(db, settings.max_queued_files, len(draft.files))
    for _, upload in chosen:
        resumable.complete(db, store, upload)
    body = accepted_body(draft, params.ignored_fields(given, FIELDS))
    keep = partial(attempt.keep, draft.id, body, asked)
    evicted = insert(db, draft, keep, from_uploads=True)
    return accept(db, draft, evicted, body)


def _chosen(db: Connection, given: Mapping[str, Any]) -> list[tuple[str, Upload]]:
    """Return the uploads, each with the field that it is for, videos first.

    Raises NoVideos, InvalidOption, TooManyFiles, NotAccepted, FileTooLarge, and what
    resumable.find_usable() raises.
    """
    limits: uploads.UploadLimits = current_app.extensions["upload_limits"]
    named = [(field, upload_id) for field in FIELDS for upload_id in _ids(given, field)]
    if not any(field == VIDEOS for field, _ in named):
        raise NoVideos
    _require_each_once([upload_id for _, upload_id in named])
    for name, kind in FIELDS.items():
        most = limits.most(kind)
        if sum(each == name for each, _ in named) > most:
            raise TooManyFiles(most, "files" if name == VIDEOS else name)
    found = [(field, resumable.find_usable(db, upload_id)) for field, upload_id in named]
    for wanted, upload in found:
        _check_kind(wanted, upload, limits)
    return found


def _ids(given: Mapping[str, Any], field: str) -> Iterator[str]:
    """Yield the ids of one field. Raises InvalidOption."""
    ids = given.get(field)
    if ids is None:
        return
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise InvalidOption(f"{field} must be a list of ids of uploads")
    yield from ids


def _require_each_once(ids: Sequence[str]) -> None:
    for place, upload_id in enumerate(ids):
        if upload_id in ids[:place]:
            raise InvalidOption(f"The upload {upload_id} is named twice")


def _check_kind(field: str, upload: Upload, limits: uploads.UploadLimits) -> None:
    """Judge an upload as a part of a form in this field; it may have come for another one."""
    declared = uploads.Declared(field, upload.name, upload.content_type, upload.size)
    uploads.Arriving(declared, limits, bytes.fromhex(upload.start)).finish()


def _file(field: str, upload: Upload) -> NewFile:
    return NewFile(upload.id, upload.name, upload.stored_name, upload.size, role=ROLE_OF[field])
