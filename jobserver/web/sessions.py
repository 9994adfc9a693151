"""Ending sessions: every token that was issued is void at once."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobserver.auth import audit, state
from jobserver.db import removing
from jobserver.web.auth import require_session
from jobserver.web.bearers import actor
from jobserver.web.context import get_db

bp = Blueprint("sessions", __name__, url_prefix="/api/auth")
bp.before_request(require_session)


@bp.post("/revoke-all")
def revoke_all() -> ResponseReturnValue:
    """Answer 200 once every token and every signed link is void, in all processes; keys stay."""
    db = get_db()
    with removing(db, "sign-in"):
        state.end_sessions(db)
        audit.record(db, actor(), "sign-out.all", db.clock())
    return jsonify(status="signed out")
