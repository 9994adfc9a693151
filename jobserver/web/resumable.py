"""Uploads that come in several requests: tus 1.0.0; see uploads/tus.py for its headers.

What was acknowledged is synced: a request that is cut off keeps what arrived, and HEAD says how
much that is. The next request takes over from one that hangs.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, Response, current_app, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.http import http_date

from jobserver import uploads
from jobserver.db import DatabaseError, exclusive
from jobserver.errors import (
    BodyTooLarge,
    FileTooLarge,
    InvalidOption,
    NotAccepted,
    OffsetMismatch,
    ProtocolVersion,
    UnsupportedType,
)
from jobserver.files.keys import stored_name
from jobserver.ids import generate_id
from jobserver.jobs import ownership, quota, resumable, retention
from jobserver.jobs.quota import SpaceLimits
from jobserver.jobs.resumable import NewUpload, Upload, WriteHold
from jobserver.uploads import tus
from jobserver.web.appending import append
from jobserver.web.auth import require_auth, scope
from jobserver.web.context import current_settings, get_db, get_store

SETTLE_S = 1.0  # that a request waits for one before it to note what has arrived
LOOK_S = 0.02  # between two looks

bp = Blueprint("uploads", __name__, url_prefix="/api/uploads")


@bp.before_request
def check_headers() -> None:
    """Let a request through by its headers alone, before anything of its body is read.

    OPTIONS needs no token: it says what this server can do.
    Raises InvalidToken or ProtocolVersion.
    """
    if request.method == "OPTIONS":
        return
    require_auth()
    if request.headers.get("Tus-Resumable") != tus.VERSION:
        raise ProtocolVersion


@bp.after_request
def name_version(response: Response) -> Response:
    """Say which version of the protocol was used; which are known, after a 412."""
    response.headers["Tus-Resumable"] = tus.VERSION
    if response.status_code == 412:
        response.headers["Tus-Version"] = tus.VERSION
    return response


@bp.route("", methods=["OPTIONS"])
@bp.route("/<upload_id>", methods=["OPTIONS"])
def describe(upload_id: str | None = None) -> ResponseReturnValue:
    """Answer 204 with what of the protocol this server knows, and the largest file it takes."""
    del upload_id
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Max-Size": str(current_settings().max_file_size),
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
    }
    return "", 204, headers


@bp.post("")
def create_upload() -> ResponseReturnValue:
    """Begin an upload, with a body take its first bytes: 201 and Location; 400, 413, 503, 507."""
    new = _new_upload()
    _insert(new)
    headers = {"Location": url_for(".show_upload", upload_id=new.id)}
    expires_at = new.expires_at
    if request.mimetype == tus.CONTENT_TYPE:
        try:
            received = _append_here(new.id, 0)
        except BaseException:  # nobody has learned its address
            with suppress(Exception):
                resumable.remove(get_db(), get_store(), new.id)
            raise
        headers["Upload-Offset"], expires_at = str(received.received), received.expires_at
    return "", 201, {**headers, "Upload-Expires": http_date(expires_at)}


@bp.route("/<upload_id>", methods=["HEAD"])
@scope("create")  # as all that an upload takes
def show_upload(upload_id: str) -> ResponseReturnValue:
    """Answer 200 with how many bytes of an upload were received; 404, or 410 when it was used."""
    upload = _settled(upload_id)
    headers = {
        "Upload-Offset": str(upload.received),
        "Upload-Length": str(upload.size),
        "Upload-Expires": http_date(upload.expires_at),
        "Cache-Control": "no-store",
    }
    if upload.metadata is not None:
        headers["Upload-Metadata"] = upload.metadata
    return "", 200, headers


@bp.patch("/<upload_id>")
def append_to_upload(upload_id: str) -> ResponseReturnValue:
    """Append the body: 204 with how many bytes there are now; 400, 404, 408 to 423, 460, 50x."""
    if request.mimetype != tus.CONTENT_TYPE:
        raise UnsupportedType
    offset = tus.length("Upload-Offset", request.headers.get("Upload-Offset"))
    upload = _append_here(upload_id, offset)
    expires = http_date(upload.expires_at)
    return "", 204, {"Upload-Offset": str(upload.received), "Upload-Expires": expires}


@bp.delete("/<upload_id>")
@scope("create")
def remove_upload(upload_id: str) -> ResponseReturnValue:
    """Answer 204 once the upload is gone; 404, or 410 when a job has it."""
    ownership.require_owner(get_db(), get_store())
    resumable.remove(get_db(), get_store(), upload_id)
    return "", 204


@bp.post("/<upload_id>")
def override(upload_id: str) -> ResponseReturnValue:
    """Do what X-HTTP-Method-Override says, for clients that can send GET and POST alone."""
    views: dict[str, Callable[[str], ResponseReturnValue]] = {
        "PATCH": append_to_upload,
        "DELETE": remove_upload,
        "HEAD": show_upload,
    }
    method = request.headers.get("X-HTTP-Method-Override", "").upper()
    if method not in views:
        raise InvalidOption(f"X-HTTP-Method-Override must be one of: {', '.join(views)}")
    return views[method](upload_id)


def _new_upload() -> NewUpload:
    """Read what is declared. Raises InvalidOption, EmptyFile, NotAccepted or FileTooLarge."""
    size = tus.length("Upload-Length", request.headers.get("Upload-Length"))
    text = request.headers.get("Upload-Metadata") or None
    declared = uploads.Declared.of(tus.metadata(text), size)
    uploads.Arriving(declared, _limits()).check()
    upload_id, now = generate_id(), get_db().clock()
    return NewUpload(
        id=upload_id,
        metadata=text,
        stored_name=stored_name(upload_id, declared.name),
        expires_at=now + current_settings().upload_lifetime,
        **declared._asdict(),
    )


def _insert(new: NewUpload) -> None:
    """Make room and the row. Raises Busy, LargerThanQuota, QuotaExceeded, InsufficientStorage."""
    db, store, limits = get_db(), get_store(), SpaceLimits.of(current_settings())
    quota.make_room(db, store, limits, new.size, now=db.clock())
    with exclusive(db, "quota"):
        now = db.clock()
        evicted = quota.reserve(db, limits, new.size, now)
        resumable.insert(db, new)
    if evicted:
        with suppress(DatabaseError, OSError):  # the upload has begun; the housekeeping goes on
            retention.remove_marked(db, store, now)


def _append_here(upload_id: str, offset: int) -> Upload:
    """Append the body of this request; return the upload as it is now.

    An upload that turns out to be nothing that is taken is removed. Raises OffsetMismatch,
    BodyTooLarge, Busy, what uploads.Arriving raises, and what Extending.write() does.
    """
    db, store = get_db(), get_store()
    checksum = request.headers.get("Upload-Checksum")
    wanted = None if checksum is None else tus.Checksum(checksum)
    with uploads.upload_slot(current_app.extensions["upload_slots"], _limits(), None):
        ownership.require_owner(db, store)
        hold = _hold(upload_id, offset)
        try:
            if (request.content_length or 0) > hold.upload.size - offset:
                raise BodyTooLarge("The body goes beyond the length of the upload")
            append(hold, store, _limits(), wanted)
        except (NotAccepted, FileTooLarge):
            resumable.remove(db, store, upload_id)
            raise
        finally:
            with suppress(DatabaseError):
                hold.release()
        upload = resumable.find(db, upload_id)
        if upload.is_whole:
            resumable.complete(db, store, upload)
    return upload


def _hold(upload_id: str, offset: int) -> WriteHold:
    """Take the right to append; one that hangs may note before what it has received.

    Raises UploadNotFound, UploadGone or OffsetMismatch.
    """
    db = get_db()
    for attempt in range(2):
        upload = _settled(upload_id) if attempt else resumable.find(db, upload_id)
        if upload.received == offset and (
            found := resumable.hold(db, upload_id, offset, db.clock())
        ):
            return found
    raise OffsetMismatch


def _settled(upload_id: str) -> Upload:
    """Return an upload when no request appends to it, or after SETTLE_S.

    A connection that was cut off ends a request within milliseconds, on whichever host.
    """
    db, end = get_db(), time.monotonic() + SETTLE_S
    while True:
        upload = resumable.find(db, upload_id)
        if upload.lease_until <= db.clock() or time.monotonic() >= end:
            return upload
        time.sleep(LOOK_S)


def _limits() -> uploads.UploadLimits:
    limits: uploads.UploadLimits = current_app.extensions["upload_limits"]
    return limits
