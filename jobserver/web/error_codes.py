"""Every code of an error, once: its status, when it comes, and which exceptions it answers.

Programs compare the code, which never changes; people read the sentence beside it. OpenAPI and
README have this table too. To add an error: a class in `errors.py`, a line here, and the same line
in README (the test of this module prints it).
"""

from typing import NamedTuple

from werkzeug import exceptions as http

from jobserver import errors
from jobserver.brief.errors import BriefError
from jobserver.db import errors as db


class ErrorCode(NamedTuple):
    """A line of the table. when: plain text. retry: whether the answer says Retry-After.

    A class that is not `raised` here has the code of its nearest base that is.
    """

    status: int
    when: str
    raised: tuple[type[Exception], ...]
    retry: bool = False


def _line(status: int, when: str, *raised: type[Exception], retry: bool = False) -> ErrorCode:
    return ErrorCode(status, when, raised, retry)


CODES: dict[str, ErrorCode] = {
    # signing in
    "password_required": _line(
        400, "no password is given, or the body is not JSON", errors.PasswordRequired
    ),
    "password_too_long": _line(
        400, "the body of a sign-in has more than 16 KB", errors.PasswordTooLong
    ),
    "invalid_password": _line(401, "the password is wrong", errors.InvalidPassword),
    "too_many_attempts": _line(
        429, "after 5 wrong passwords from one address", errors.TooManyAttempts, retry=True
    ),
    "authorization_required": _line(401, "there is no bearer token", errors.AuthorizationRequired),
    "invalid_token": _line(
        401, "a token or signed link is forged, malformed or expired", errors.InvalidToken
    ),
    "insufficient_scope": _line(
        403, "a key lacks the scope that the request needs", errors.InsufficientScope
    ),
    "session_required": _line(
        403, "keys may not do it: sign in by password", errors.SessionRequired
    ),
    "key_not_found": _line(404, "no key has this id", errors.KeyNotFound),
    "too_many_keys": _line(409, "there are 100 keys already", errors.TooManyKeys),
    # what is asked for
    "invalid_option": _line(
        400, "a field or query has no value that it may have", errors.InvalidOption
    ),
    "invalid_json": _line(400, "the body is not a JSON object", errors.NotAJsonObject),
    "invalid_brief": _line(
        400, "a brief cannot be followed; `path` names the key at fault", BriefError
    ),
    "invalid_idempotency_key": _line(
        400,
        "Idempotency-Key must have 1 to 255 printable ASCII characters",
        errors.InvalidIdempotencyKey,
    ),
    "idempotency_key_in_use": _line(
        409,
        "another request with this Idempotency-Key is running",
        errors.IdempotencyKeyInUse,
        retry=True,
    ),
    "idempotency_key_reused": _line(
        422,
        "another content came with this Idempotency-Key before: choose a new one",
        errors.IdempotencyKeyReused,
    ),
    "no_videos": _line(400, "no file in the field `videos`", errors.NoVideos),
    "format_not_accepted": _line(
        400,
        "a file is declared, or begins, as something that its field does not take",
        errors.NotAccepted,
    ),
    "empty_file": _line(400, "a file has no bytes", errors.EmptyFile),
    "unexpected_part": _line(
        400,
        "a file in an unknown field, a part without a name, more than 50 fields",
        errors.UnexpectedPart,
    ),
    "too_many_files": _line(400, "more files in a field than it takes (10)", errors.TooManyFiles),
    "malformed_body": _line(
        400, "the multipart body is malformed or has no end", errors.MalformedBody
    ),
    "incomplete_body": _line(
        400, "the connection ended before the whole body arrived", errors.ClientGone
    ),
    "request_timeout": _line(
        408,
        "silence in the body, or less than 8 KiB a second",
        errors.ClientTooSlow,
        http.RequestTimeout,
    ),
    "file_too_large": _line(
        413,
        "at the first byte too many: videos 500 MB, pictures 20 MB, music 100 MB",
        errors.FileTooLarge,
    ),
    "body_too_large": _line(
        413,
        "a body larger than any that is accepted, before it is read; a form field of more than "
        "16 KB (`brief`: 64 KB)",
        errors.BodyTooLarge,
        http.RequestEntityTooLarge,
    ),
    # resumable uploads
    "unknown_protocol_version": _line(
        412, "an upload in several requests without `Tus-Resumable: 1.0.0`", errors.ProtocolVersion
    ),
    "unsupported_media_type": _line(
        415,
        "bytes of an upload that are not `application/offset+octet-stream`",
        errors.UnsupportedType,
        http.UnsupportedMediaType,
    ),
    "upload_not_found": _line(404, "no upload has this id", errors.UploadNotFound),
    "upload_gone": _line(410, "the upload is part of a job, or has gone", errors.UploadGone),
    "offset_mismatch": _line(
        409, "Upload-Offset is not where the upload is: ask with HEAD", errors.OffsetMismatch
    ),
    "upload_taken_over": _line(
        423, "a later request goes on with this upload", errors.UploadTakenOver
    ),
    "checksum_mismatch": _line(
        460, "the bytes do not have their Upload-Checksum; none was kept", errors.ChecksumMismatch
    ),
    "upload_unfinished": _line(409, "a job of an upload that lacks bytes", errors.UploadUnfinished),
    "upload_used": _line(409, "a job of an upload that another job has", errors.UploadUsed),
    # space
    "insufficient_storage": _line(507, "the disk has no space for it", errors.InsufficientStorage),
    "database_full": _line(507, "the disk of the database is full", db.DatabaseFull),
    "larger_than_quota": _line(
        507, "an upload is larger than STORAGE_QUOTA", errors.LargerThanQuota
    ),
    "quota_exceeded": _line(
        507, "jobs that wait or run fill the storage", errors.QuotaExceeded, retry=True
    ),
    # jobs and their files
    "not_found": _line(404, "nothing has this address", http.NotFound),
    "job_not_found": _line(404, "no job has this id", errors.JobNotFound),
    "output_not_found": _line(
        404, "the job has no such output, source or picture", errors.OutputNotFound
    ),
    "delivery_not_found": _line(
        404, "the job has no such delivery of its webhook", errors.DeliveryNotFound
    ),
    "job_expired": _line(410, "the job was deleted when its time was over", errors.JobExpired),
    "file_gone": _line(410, "the file is not there any more", errors.OutputGone),
    "nothing_to_download": _line(409, "no output is ready yet", errors.NothingToDownload),
    "job_ended": _line(409, "a job that has ended cannot be cancelled", errors.JobEnded),
    "nothing_to_retry": _line(
        409, "no file of the job has failed or was cancelled", errors.NothingToRetry
    ),
    "sources_gone": _line(
        409, "the files that a new job would be made of are gone", errors.SourcesGone
    ),
    "precondition_failed": _line(
        412, "the file is not the one that If-Match names", http.PreconditionFailed
    ),
    "range_not_satisfiable": _line(
        416,
        "a range that is malformed or beyond the end, or several",
        http.RequestedRangeNotSatisfiable,
    ),
    "zip_changed": _line(
        428,
        "`wget -c` would append to an older ZIP: delete it and start again",
        http.PreconditionRequired,
    ),
    # the server's own state
    "busy": _line(
        503, "too many uploads, downloads, sign-ins or open files", errors.Busy, retry=True
    ),
    "queue_full": _line(
        503, "as many files wait as MAX_QUEUED_FILES allows", errors.QueueFull, retry=True
    ),
    "key_queue_full": _line(
        429,
        "as many files of one key wait as MAX_QUEUED_FILES_PER_KEY allows",
        errors.KeyQueueFull,
        retry=True,
    ),
    "old_worker": _line(
        503,
        "during an upgrade: a worker still runs that does not know the brief, recipe or webhook",
        errors.OldWorker,
        retry=True,
    ),
    "database_busy": _line(
        503, "the database was locked; nothing was written", db.DatabaseBusy, retry=True
    ),
    "database_unavailable": _line(
        503, "the database does not answer; the operator must act", db.DatabaseUnavailable
    ),
    "outcome_unknown": _line(
        503,
        "the database was lost while it wrote: look whether it was done before repeating it",
        db.CommitUnknown,
        errors.OutcomeUnknown,
    ),
    "storage_unavailable": _line(
        503,
        "a folder is missing, read-only or another database's; the operator must act",
        errors.StorageUnavailable,
    ),
    "store_unreachable": _line(
        503, "with STORAGE_URL: the store does not answer", errors.StoreUnreachable, retry=True
    ),
    "internal_error": _line(
        500,
        "the server made a mistake; its log has the request id",
        http.InternalServerError,
    ),
    # HTTP itself; also what gunicorn and nginx refuse
    "bad_request": _line(400, "the request is malformed", http.BadRequest),
    "forbidden": _line(403, "the server or a proxy refuses the request", http.Forbidden),
    "method_not_allowed": _line(
        405, "the address is there, but not for this method", http.MethodNotAllowed
    ),
    "length_required": _line(411, "the length of the body is missing", http.LengthRequired),
    "uri_too_long": _line(414, "the address is too long", http.RequestURITooLarge),
    "expectation_failed": _line(
        417, "an Expect header other than `100-continue`", http.ExpectationFailed
    ),
    "headers_too_large": _line(431, "the headers are too large", http.RequestHeaderFieldsTooLarge),
    "not_implemented": _line(501, "a transfer coding that is not known", http.NotImplemented),
    "bad_gateway": _line(502, "nginx: jobserver does not run", http.BadGateway),
    "service_unavailable": _line(503, "nginx: too many requests", http.ServiceUnavailable),
    "gateway_timeout": _line(504, "nginx: jobserver did not answer in time", http.GatewayTimeout),
    "http_version_not_supported": _line(
        505, "the version of HTTP is not known", http.HTTPVersionNotSupported
    ),
}

_BY_CLASS = {kind: code for code, line in CODES.items() for kind in line.raised}
_BY_STATUS = {
    line.status: code
    for code, line in CODES.items()
    if any(issubclass(kind, http.HTTPException) for kind in line.raised)
}


def code_of(kind: type[BaseException]) -> str | None:
    """Return the code of an error's class, or None for one that is not a client's to know."""
    return next((_BY_CLASS[base] for base in kind.__mro__ if base in _BY_CLASS), None)


def code_of_status(status: int) -> str:
    """Return the code of what HTTP itself, gunicorn or a proxy refuses with a status."""
    return _BY_STATUS.get(status, "internal_error" if status >= 500 else "bad_request")
