"""Jobs, signing in, health, storage, as OpenAPI says it."""

from jobserver.jobs.model import WEBHOOK_EVENTS
from jobserver.render import RECIPES
from jobserver.web import service_shapes, shapes
from jobserver.web.openapi.model import (
    BYTES,
    ETAG,
    EVERYBODY,
    FORM,
    NOT_MODIFIED,
    TEXT,
    Answer,
    Body,
    JsonSchema,
    Operation,
    Parameter,
)
from jobserver.web.params import (
    DEFAULT_EVENTS,
    DEFAULT_VARIATIONS,
    MAX_SEED,
    MAX_TITLE_LENGTH,
    PAGE_SIZE,
    STATUSES,
)

PASSWORD: JsonSchema = {
    "type": "object",
    "required": ["password"],
    "properties": {"password": {"type": "string", "minLength": 1}},
}
BRIEF: JsonSchema = {"x-schema": "Brief"}

# What an upload may say beside its files. All are texts there; `variations` is read as far as it
# is a number.
OPTIONS: dict[str, JsonSchema] = {
    "variations": {
        "description": f"of each video, brought into 1 to 20; {DEFAULT_VARIATIONS} where it does "
        "not begin with a number. Beside a brief: looks of the recipe, none without it",
        "type": ["integer", "string"],
    },
    "recipe": {
        "description": f"what a look changes: {', '.join(RECIPES)}, or an object (BriefRecipe) as "
        "JSON text",
        "type": "string",
    },
    "seed": {
        "description": "the same seed, files and options give the same bytes; chosen without it",
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_SEED,
    },
    "title": {
        "description": "one line; shown, searched for, begins the names of files",
        "type": "string",
        "maxLength": MAX_TITLE_LENGTH,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
    },
}
OPTIONS |= {
    "webhook": {
        "description": "https URL that events of the job are posted to (Standard Webhooks); "
        "http and private addresses as far as WEBHOOK_ALLOW names them",
        "type": "string",
    },
    "webhookEvents": {
        "description": f"some of {', '.join(WEBHOOK_EVENTS)}, between commas or spaces; "
        f"{', '.join(DEFAULT_EVENTS)} without it. Needs `webhook`",
        "type": "string",
    },
}
BRIEF_AS_TEXT: JsonSchema = {
    "description": "a Brief as JSON text, at most 64 KiB",
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": BRIEF,
}


def _files(name: str, description: str, most: int = 10, least: int = 0) -> dict[str, JsonSchema]:
    schema = {"type": "array", "items": BYTES, "minItems": least, "maxItems": most}
    return {name: {"description": description, **schema}}


UPLOAD: JsonSchema = {
    "type": "object",
    "required": ["videos"],
    "properties": {
        **_files("videos", "the main clips", least=1),
        **_files("hooks", "clips that are played before"),
        **_files("endings", "clips or pictures (PNG, JPEG, WebP) that are shown after"),
        **_files("overlays", "pictures for a logo, 20 MiB each"),
        **_files("music", "M4A, MP3, WAV, FLAC or OGG, 100 MiB each"),
        **OPTIONS,
        "brief": BRIEF_AS_TEXT,
    },
}


# What the parts of the form are; {videos}: what ACCEPT names.
KINDS = {
    **dict.fromkeys(("videos", "hooks"), "{videos}"),
    "endings": "{videos}, image/png, image/jpeg, image/webp",
    "overlays": "image/png, image/jpeg, image/webp",
    "music": "audio/mp4, audio/mpeg, audio/wav, audio/flac, audio/ogg",
    "brief": "text/plain",
}


def _nullable(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


EVENT_LIST: JsonSchema = {
    "type": "array",
    "items": {"enum": list(WEBHOOK_EVENTS)},
    "minItems": 1,
}
AGAIN: JsonSchema = {
    "description": "What is left out is as it was; null is what an upload without the field is.",
    "type": "object",
    "properties": {
        **{name: _nullable(schema) for name, schema in OPTIONS.items()},
        "recipe": {"anyOf": [{"type": "string"}, {"x-schema": "BriefRecipe"}, {"type": "null"}]},
        "webhookEvents": {
            "anyOf": [OPTIONS["webhookEvents"], EVENT_LIST, {"type": "null"}],
        },
        "brief": _nullable(BRIEF),
    },
}
FILES = ("videos", "hooks", "endings", "overlays", "music")
UPLOADED: JsonSchema = {
    "description": "A job of files that came by /api/uploads, by their ids.",
    "type": "object",
    "required": ["videos"],
    "properties": {
        **{name: {"type": "array", "items": TEXT} for name in FILES},
        **AGAIN["properties"],
    },
}
USE_ERRORS = ("upload_not_found", "upload_gone", "upload_unfinished", "upload_used")
UPLOAD_ERRORS = (
    *("invalid_option", "invalid_brief", "no_videos", "format_not_accepted", "empty_file"),
    *("unexpected_part", "too_many_files", "malformed_body", "incomplete_body"),
    *("request_timeout", "file_too_large", "body_too_large"),
)
SPACE_ERRORS = (
    *("insufficient_storage", "database_full", "larger_than_quota", "quota_exceeded"),
    *("storage_unavailable", "store_unreachable"),
)
QUEUE_ERRORS = ("queue_full", "key_queue_full", "old_worker", *SPACE_ERRORS)
JSON_ERRORS = ("invalid_json", "incomplete_body", "request_timeout", "body_too_large")
JOB_ID = {"job_id": "$response.body#/jobId"}
ACCEPTED = Answer(
    "The job is queued, and kept whatever happens",
    shapes.AcceptedJob,
    headers={
        "Location": "of the job",
        "Idempotent-Replayed": "`true`: the answer to an earlier request with this Idempotency-Key",
    },
    links=dict.fromkeys(
        ("show_job", "cancel_job", "retry_job", "make_again", "delete_job", "download"), JOB_ID
    ),
)
IDEMPOTENT_ERRORS = ("invalid_idempotency_key", "idempotency_key_in_use", "idempotency_key_reused")
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "1 to 255 printable ASCII characters: the same request with the same key makes no second job",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    where="header",
)
WITHOUT_OUTPUTS = Parameter("outputs", "`false` leaves the outputs out, as for polling")

OPERATIONS: dict[str, Operation] = {
    "POST /api/auth": Operation(
        "Sign in",
        {200: Answer("A token for the header Authorization", service_shapes.Token)},
        errors=(
            *("password_required", "password_too_long", "invalid_password", "too_many_attempts"),
            *("incomplete_body", "request_timeout", "database_full"),
        ),
        bodies=(Body(PASSWORD),),
        access=EVERYBODY,
    ),
    "GET /api/health": Operation(
        "Ask whether the server serves",
        {
            200: Answer("It does; `degraded`: the operator must act", service_shapes.Health),
            503: Answer("It does not, for the reason in `error`", service_shapes.Health),
        },
        access=EVERYBODY,
    ),
    "GET /api/openapi.json": Operation(
        "Describe this API",
        {
            200: Answer("This document", content=("application/json",), headers=ETAG),
            304: NOT_MODIFIED,
        },
        access=EVERYBODY,
    ),
    "GET /api/docs": Operation(
        "Show this description as a page",
        {200: Answer("The page", content=("text/html",))},
        access=EVERYBODY,
    ),
    "GET /api/storage": Operation(
        "Show used and free space",
        {200: Answer("What is used and what is free", service_shapes.Storage)},
        errors=("storage_unavailable", "store_unreachable"),
    ),
    "POST /api/jobs": Operation(
        "Upload videos as a job",
        {202: ACCEPTED},
        errors=(
            *(*UPLOAD_ERRORS, *USE_ERRORS, "invalid_json"),
            *(*QUEUE_ERRORS, *IDEMPOTENT_ERRORS),
        ),
        parameters=(IDEMPOTENCY_KEY,),
        bodies=(Body(UPLOAD, FORM, encoding=KINDS), Body(UPLOADED)),
    ),
    "GET /api/jobs": Operation(
        "List jobs, newest first",
        {
            200: Answer(
                "A page of the list. With `status` or `q` it may be short, or empty, "
                "although Link leads on",
                list[shapes.JobSummary],
                headers={**ETAG, "Link": '`<...>; rel="next"`: the next page, if there is one'},
            ),
            304: NOT_MODIFIED,
        },
        errors=("invalid_option",),
        parameters=(
            Parameter(
                "limit", f"jobs on a page, {PAGE_SIZE} at most", {"type": "integer", "minimum": 1}
            ),
            Parameter("before", "id of a job: list those that are older"),
            Parameter("status", "list those in this state", {"enum": list(STATUSES)}),
            Parameter(
                "q",
                "list those whose title or file names contain this",
                {**TEXT, "maxLength": MAX_TITLE_LENGTH},
            ),
        ),
    ),
    "GET /api/jobs/<job_id>": Operation(
        "Show a job",
        {200: Answer("The job as it is", shapes.Job, headers=ETAG), 304: NOT_MODIFIED},
        errors=("job_not_found",),
        parameters=(WITHOUT_OUTPUTS,),
    ),
    "DELETE /api/jobs/<job_id>": Operation(
        "Delete a job, its files and outputs; cancel it first if it runs",
        {200: Answer("It is gone", shapes.DeletedJob)},
        errors=("job_not_found",),
    ),
    "POST /api/jobs/<job_id>/cancel": Operation(
        "Cancel a job; finished outputs stay",
        {200: Answer("Nothing more of it will be rendered", shapes.CancelledJob)},
        errors=("job_not_found", "job_ended", "database_full"),
    ),
    "POST /api/jobs/<job_id>/retry": Operation(
        "Queue the failed and cancelled files of a job again",
        {202: Answer("The job, queued again", shapes.Job)},
        errors=(
            *("job_not_found", "nothing_to_retry"),
            *("queue_full", "key_queue_full", "database_full"),
        ),
    ),
    "POST /api/jobs/<job_id>/again": Operation(
        "Make a new job over the kept files of this one",
        {202: ACCEPTED},
        errors=(
            *("job_not_found", "sources_gone", "no_videos", "invalid_option", "invalid_brief"),
            *JSON_ERRORS,
            *QUEUE_ERRORS,
            *IDEMPOTENT_ERRORS,
        ),
        parameters=(IDEMPOTENCY_KEY,),
        bodies=(Body(AGAIN, required=False),),
    ),
    "POST /api/briefs/plan": Operation(
        "Plan what a brief would make, before anything is uploaded",
        {200: Answer("What that upload would make", shapes.Plan)},
        errors=("invalid_option", "invalid_brief", *JSON_ERRORS),
        bodies=(Body({"x-schema": "PlanRequest"}),),
    ),
}
