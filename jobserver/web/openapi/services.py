"""Webhooks, keys and differences, as OpenAPI says it."""

from jobserver.web import service_shapes as shapes
from jobserver.web.openapi.model import (
    ETAG,
    NOT_MODIFIED,
    SESSION,
    TEXT,
    Answer,
    Body,
    JsonSchema,
    Operation,
    Parameter,
)

KEY: JsonSchema = {
    "type": "object",
    "required": ["name", "scopes"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "scopes": {
            "type": "array",
            "items": {"enum": ["read", "create", "delete"]},
            "minItems": 1,
        },
    },
}

OPERATIONS: dict[str, Operation] = {
    "GET /api/jobs/<job_id>/deliveries": Operation(
        "List what a job's webhook was posted",
        {200: Answer("The webhook and its deliveries", shapes.Deliveries)},
        errors=("job_not_found",),
    ),
    "POST /api/jobs/<job_id>/deliveries/<delivery_id>/replay": Operation(
        "Post a delivery once more",
        {202: Answer("The delivery, made again under the same id", shapes.Delivery)},
        errors=("job_not_found", "delivery_not_found", "database_full"),
    ),
    "GET /api/jobs/<job_id>/differences": Operation(
        "Show how far the outputs of a video are from each other",
        {200: Answer("A matrix of bits", shapes.Differences, headers=ETAG), 304: NOT_MODIFIED},
        errors=("job_not_found", "output_not_found", "invalid_option"),
        parameters=(Parameter("file", "id of a video; may be left out when there is one", TEXT),),
    ),
    "POST /api/keys": Operation(
        "Make a key for a program",
        {201: Answer("The key, shown this once", shapes.NewKey)},
        errors=(
            *("invalid_option", "invalid_json", "invalid_brief", "incomplete_body"),
            *("request_timeout", "body_too_large", "too_many_keys", "database_full"),
        ),
        access=SESSION,
        bodies=(Body(KEY),),
    ),
    "GET /api/keys": Operation(
        "List the keys that are good",
        {200: Answer("The newest first", list[shapes.Key])},
        access=SESSION,
    ),
    "DELETE /api/keys/<key_id>": Operation(
        "Revoke a key, at once",
        {200: Answer("It opens nothing any more", shapes.RevokedKey)},
        errors=("key_not_found", "database_full"),
        access=SESSION,
    ),
    "POST /api/auth/revoke-all": Operation(
        "Sign out everywhere",
        {200: Answer("Every token and signed address is void; keys stay", shapes.SignedOut)},
        access=SESSION,
    ),
}
