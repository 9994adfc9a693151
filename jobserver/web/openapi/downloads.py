"""Outputs, sources, their pictures and ZIPs, as OpenAPI says it."""

from jobserver.web.openapi.model import (
    TEXT,
    TOKEN_OR_LINK,
    Answer,
    Body,
    JsonSchema,
    Operation,
    Parameter,
)

FILE_HEADERS = {
    "ETag": "of these bytes",
    "Accept-Ranges": "`bytes`",
    "Content-Disposition": "with the name to save it under",
}
PART_HEADERS = {**FILE_HEADERS, "Content-Range": "which bytes these are, of how many"}
KNOWN = Answer("What If-None-Match or If-Modified-Since names has not changed")
ELSEWHERE = Answer(
    "With STORAGE_URL: the store has it there, for LINK_LIFETIME", headers={"Location": "there"}
)
RANGE_ERRORS = ("job_expired", "file_gone", "precondition_failed", "range_not_satisfiable")
STORE_ERRORS = ("storage_unavailable", "store_unreachable")
RANGE = Parameter(
    "Range", "`bytes=<first>-<last>`: one part of it; several are a 416", where="header"
)
IF_RANGE = Parameter("If-Range", "an ETag: the part only of these bytes, else all", where="header")
INLINE = Parameter("inline", "`1`: to play it rather than to save it")
IDS: JsonSchema = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
ZIP = ("application/zip",)
PICTURE = {
    200: Answer("A picture", content=("image/webp",), headers=FILE_HEADERS),
    304: KNOWN,
    302: ELSEWHERE,
}


SOURCES = ("video/*", "image/*", "audio/*", "application/octet-stream")


def _file(description: str, *content: str, elsewhere: bool = True) -> dict[int, Answer]:
    return {
        200: Answer(description, content=content, headers=FILE_HEADERS),
        206: Answer("The part that Range names", content=content, headers=PART_HEADERS),
        304: KNOWN,
        **({302: ELSEWHERE} if elsewhere else {}),
    }


ZIP_ERRORS = (
    *("job_not_found", "output_not_found", "nothing_to_download", "zip_changed", "invalid_option"),
    *RANGE_ERRORS,
    *STORE_ERRORS,
)

OPERATIONS: dict[str, Operation] = {
    "GET /api/jobs/<job_id>/outputs/<output_id>": Operation(
        "Download an output",
        _file("The video", "video/mp4"),
        errors=("output_not_found", *RANGE_ERRORS, *STORE_ERRORS),
        parameters=(INLINE, RANGE, IF_RANGE),
        access=TOKEN_OR_LINK,
    ),
    "GET /api/jobs/<job_id>/outputs/<output_id>/thumbnail": Operation(
        "Show a picture of an output",
        PICTURE,
        errors=("output_not_found", *RANGE_ERRORS, *STORE_ERRORS),
        access=TOKEN_OR_LINK,
    ),
    "GET /api/jobs/<job_id>/files/<file_id>": Operation(
        "Download a file as it was sent",
        _file("The file", *SOURCES),
        errors=("job_not_found", "output_not_found", *RANGE_ERRORS, *STORE_ERRORS),
        parameters=(INLINE, RANGE, IF_RANGE),
        access=TOKEN_OR_LINK,
    ),
    "GET /api/jobs/<job_id>/files/<file_id>/thumbnail": Operation(
        "Show a picture of a file",
        PICTURE,
        errors=("job_not_found", "output_not_found", *RANGE_ERRORS, *STORE_ERRORS),
        access=TOKEN_OR_LINK,
    ),
    "GET /api/jobs/<job_id>/download": Operation(
        "Download the outputs of a job as a ZIP",
        _file("What is ready so far", *ZIP, elsewhere=False),
        errors=ZIP_ERRORS,
        parameters=(
            Parameter("outputs", "ids with commas: these alone", {**TEXT, "minLength": 1}),
            RANGE,
            IF_RANGE,
        ),
        access=TOKEN_OR_LINK,
    ),
    "POST /api/jobs/<job_id>/download": Operation(
        "Download chosen outputs as a ZIP, more than an address holds",
        _file("The ZIP", *ZIP, elsewhere=False),
        errors=(
            *ZIP_ERRORS,
            *("invalid_json", "invalid_brief", "incomplete_body", "request_timeout"),
            "body_too_large",
        ),
        bodies=(Body({"type": "object", "properties": {"outputs": IDS}}, required=False),),
    ),
}
