"""Keys for programs: made, listed and revoked by who has signed in by password."""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.auth import api_keys, audit
from jobserver.auth.api_keys import SCOPES, ApiKey
from jobserver.brief.text import problem
from jobserver.db import exclusive, removing
from jobserver.errors import InvalidOption
from jobserver.web.auth import require_session
from jobserver.web.bearers import actor
from jobserver.web.body import json_object
from jobserver.web.context import get_db
from jobserver.web.hot_path import timestamp

MAX_BODY_SIZE = 16 * 1024  # bytes
MAX_NAME_LENGTH = 100  # characters

bp = Blueprint("keys", __name__, url_prefix="/api/keys")
bp.before_request(require_session)


@bp.post("")
def create_key() -> ResponseReturnValue:
    """Answer 201 `{"id", "key", "name", "scopes"}`: the only time the key is shown; 400 or 409."""
    given = json_object(MAX_BODY_SIZE)
    name, scopes = _name(given.get("name")), _scopes(given.get("scopes"))
    db = get_db()
    with exclusive(db, "sign-in"):
        now = db.clock()
        made, text = api_keys.create(db, name, " ".join(scopes), now)
        audit.record(db, actor(), "key.create", now, key=made.id, name=name, scopes=scopes)
    answer = jsonify(id=made.id, key=text, name=name, scopes=scopes)
    answer.headers["Cache-Control"] = "no-store"
    return answer, 201


@bp.get("")
def list_keys() -> ResponseReturnValue:
    """Answer 200 with the keys that are good, the newest first; none shows its secret."""
    return jsonify([_key_json(key) for key in api_keys.all_keys(get_db())])


@bp.delete("/<key_id>")
def revoke_key(key_id: str) -> ResponseReturnValue:
    """Answer 200 once the key opens nothing any more, in any process; 404."""
    db = get_db()
    with removing(db, "sign-in"):
        revoked = api_keys.revoke(db, key_id)
        audit.record(db, actor(), "key.revoke", db.clock(), key=key_id, name=revoked.name)
    return jsonify(id=key_id, status="revoked")


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes.split(),
        "createdAt": timestamp(key.created_at),
        "lastUsedAt": timestamp(key.last_used_at),
    }


def _name(given: Any) -> str:
    """Return the name of a key. Raises InvalidOption."""
    name = given.strip() if isinstance(given, str) else ""
    if not 0 < len(name) <= MAX_NAME_LENGTH or "\n" in name or problem(name):
        raise InvalidOption(
            f"name must be one line of 1 to {MAX_NAME_LENGTH} characters, none of them control"
        )
    return name


def _scopes(given: Any) -> list[str]:
    """Return the scopes, each once, in the sequence of SCOPES. Raises InvalidOption."""
    named = given if isinstance(given, list) else []
    if not named or any(scope not in SCOPES for scope in named):
        raise InvalidOption(f"scopes must be a list of one or more of: {', '.join(SCOPES)}")
    return [scope for scope in SCOPES if scope in named]
