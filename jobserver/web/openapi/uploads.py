"""Uploads that come in several requests (tus 1.0.0), as OpenAPI says it."""

from jobserver.web.openapi.model import BYTES, TEXT, Answer, Body, Operation, Parameter
from jobserver.web.openapi.operations import SPACE_ERRORS

VERSION = Parameter("Tus-Resumable", "`1.0.0`, required", TEXT, where="header")
OFFSET = Parameter("Upload-Offset", "bytes that were received so far", TEXT, where="header")
CHECKSUM = Parameter(
    "Upload-Checksum", "of this body: `sha1 <base64>` or `sha256 <base64>`", TEXT, where="header"
)
CONTENT = Body(BYTES, "application/offset+octet-stream", required=False)
PROGRESS = {
    "Upload-Offset": "bytes that were received",
    "Upload-Expires": "when an unfinished upload is removed",
    "Tus-Resumable": "`1.0.0`",
}
BODY_ERRORS = (
    *("format_not_accepted", "empty_file", "file_too_large", "body_too_large"),
    *("incomplete_body", "request_timeout", "checksum_mismatch", "upload_taken_over"),
)
FOUND_ERRORS = ("upload_not_found", "upload_gone", "unknown_protocol_version")
APPEND_ERRORS = (
    *FOUND_ERRORS,
    *BODY_ERRORS,
    *SPACE_ERRORS,
    *("offset_mismatch", "unsupported_media_type", "invalid_option"),
)

OPERATIONS: dict[str, Operation] = {
    "POST /api/uploads": Operation(
        "Begin an upload (tus)",
        {201: Answer("It has begun", headers={"Location": "of the upload", **PROGRESS})},
        errors=APPEND_ERRORS,
        parameters=(
            VERSION,
            Parameter("Upload-Length", "bytes of the whole file", TEXT, where="header"),
            Parameter("Upload-Metadata", "`filename <base64>,filetype <base64>`", where="header"),
            CHECKSUM,
        ),
        bodies=(CONTENT,),
    ),
    "HEAD /api/uploads/<upload_id>": Operation(
        "Ask how much of an upload was received (tus)",
        {200: Answer("So much", headers=PROGRESS)},
        errors=FOUND_ERRORS,
        parameters=(VERSION,),
    ),
    "PATCH /api/uploads/<upload_id>": Operation(
        "Send the next bytes of an upload (tus)",
        {204: Answer("They are kept", headers=PROGRESS)},
        errors=APPEND_ERRORS,
        parameters=(VERSION, OFFSET, CHECKSUM),
        bodies=(CONTENT,),
    ),
    "DELETE /api/uploads/<upload_id>": Operation(
        "Remove an upload (tus)",
        {204: Answer("It is gone")},
        errors=(*FOUND_ERRORS, "storage_unavailable", "store_unreachable"),
        parameters=(VERSION,),
    ),
    "POST /api/uploads/<upload_id>": Operation(
        "As PATCH, DELETE or HEAD, for clients that know GET and POST alone (tus)",
        {200: Answer("As HEAD", headers=PROGRESS), 204: Answer("As PATCH, or DELETE")},
        errors=APPEND_ERRORS,
        parameters=(
            VERSION,
            Parameter("X-HTTP-Method-Override", "`PATCH`, `DELETE` or `HEAD`", where="header"),
            OFFSET,
            CHECKSUM,
        ),
        bodies=(CONTENT,),
    ),
}
