"""Signing in over HTTP, and what a request must carry to be served."""

import json
import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Flask, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from jobserver.auth import audit, state, throttle
from jobserver.auth.audit import NOBODY, Actor
from jobserver.auth.links import expires_at, link, signed_text
from jobserver.auth.password import is_password
from jobserver.auth.tokens import new_session
from jobserver.db import removing
from jobserver.errors import (
    Busy,
    ClientGone,
    InsufficientScope,
    InvalidPassword,
    InvalidToken,
    PasswordRequired,
    PasswordTooLong,
    SessionRequired,
    TooManyAttempts,
)
from jobserver.serving.client_limits import shorten_timeout
from jobserver.web import bearers, hot_path, service_shapes
from jobserver.web.bearers import signing_inputs
from jobserver.web.context import current_settings, get_db

MAX_BODY_SIZE = 16 * 1024  # bytes
BODY_TIMEOUT_S = 5.0  # of silence, from a client that has begun to send it
MAX_BODIES = 4  # received at once in one process: nobody needs a token to keep its threads busy
TURN_S = 0.2  # that a sign-in waits for its turn to be received
# That a key needs, by the method of its request; `create` for all others.
SCOPE_OF = {"GET": "read", "HEAD": "read", "OPTIONS": "read", "DELETE": "delete"}

View = TypeVar("View", bound=Callable[..., Any])

_bodies = threading.BoundedSemaphore(MAX_BODIES)
bp = Blueprint("auth", __name__, url_prefix="/api")


@bp.post("/auth")
def sign_in() -> ResponseReturnValue:
    """Answer 200 `{"token", "expiresIn"}` (seconds); 400, 401 or 429 with Retry-After."""
    settings = current_settings()
    correct = is_password(_given_password(), settings.auth_password)
    session = new_session()
    wait_s, generation = _record_attempt(correct, session)
    if wait_s > 0:
        raise TooManyAttempts(retry_after=math.ceil(wait_s))
    if not correct:
        raise InvalidPassword
    token = hot_path.token_signer(*signing_inputs(current_app)).issue(generation, session)
    found: service_shapes.Token = {"token": token, "expiresIn": settings.token_max_age}
    answer = jsonify(found)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def scope(name: str) -> Callable[[View], View]:
    """Say which scope a view needs, where that does not follow from its method."""

    def decorate(view: View) -> View:
        view.scope = name  # type: ignore[attr-defined]
        return view

    return decorate


def require_auth() -> None:
    """Let a request through that has a valid token with the scope it needs, by its headers alone.

    Raises AuthorizationRequired, InvalidToken or InsufficientScope.
    """
    found = g.bearer = bearers.from_headers()
    needed = _needed_scope()
    if needed not in found.scopes:
        raise InsufficientScope(needed)


def require_session() -> None:
    """As require_auth(), of who has signed in by password. Raises SessionRequired."""
    g.bearer = bearers.from_headers()
    if g.bearer.key_id is not None:
        raise SessionRequired


def _needed_scope() -> str:
    view = current_app.view_functions[request.endpoint or ""]
    return getattr(view, "scope", None) or SCOPE_OF.get(request.method, "create")


def require_auth_or_link() -> None:
    """Let a GET through whose address is signed and has time left, else as require_auth()."""
    expires, signature = request.args.get("expires", ""), request.args.get("signature", "")
    if request.method not in ("GET", "HEAD") or not signature:
        require_auth()
        return
    signer = hot_path.link_signer(*signing_inputs(current_app))
    generation = state.read(get_db()).generation
    if not signer.is_valid(
        request.path, expires, signature, now=time.time(), generation=generation
    ):
        raise InvalidToken


def link_signer(now: float) -> Callable[[str], str]:
    """Return what makes a link of a path: it opens the path without a token.

    now: Unix seconds; the link ends between half a LINK_LIFETIME and a whole one later.
    """
    found: bearers.Bearer | None = g.get("bearer")
    generation = found.generation if found else state.read(get_db()).generation
    return link_signer_of(current_app, now, generation)


def link_signer_of(app: Flask, now: float, generation: int) -> Callable[[str], str]:
    """As link_signer(), also outside of a request of Flask's. generation: of AuthState."""
    expires = expires_at(app.extensions["settings"].link_lifetime, now)
    signer = hot_path.link_signer(*signing_inputs(app))

    def signed(path: str) -> str:
        text = signed_text(path, expires, generation)
        return link(path, expires, hot_path.link_signature(signer, text))

    return signed


def _record_attempt(correct: bool, session: str) -> tuple[float, int]:
    """Return the seconds to wait, 0 when the attempt may be answered, and the generation now."""
    db, remote = get_db(), request.remote_addr
    with removing(db, "sign-in"):  # the clock is read where nobody else can record an attempt
        now = db.clock()
        wait_s = throttle.record_attempt(db, remote, correct=correct, now=now)
        if wait_s <= 0:
            actor = Actor(f"session {session}" if correct else NOBODY, remote)
            audit.record_sign_in(db, actor, "sign-in" if correct else "sign-in.failed", now)
        return wait_s, state.read(db).generation


def _given_password() -> str:
    """Return the password of the JSON body. Raises PasswordRequired, and what `_body` raises."""
    try:
        password = json.loads(_body())["password"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PasswordRequired from error
    if not isinstance(password, str) or not password:
        raise PasswordRequired
    return password


def _body() -> bytes:
    """Return the body, which anybody may send: small, soon, and few at once.

    Raises PasswordTooLong, ClientGone, ClientTooSlow or Busy.
    """
    request.max_content_length = MAX_BODY_SIZE
    shorten_timeout(request.environ, BODY_TIMEOUT_S)
    if not _bodies.acquire(timeout=TURN_S):
        raise Busy("Too many sign-ins at once; try again", retry_after=1)
    try:
        body = request.get_data()
    except RequestEntityTooLarge as error:
        raise PasswordTooLong from error
    finally:
        _bodies.release()
    if len(body) != (request.content_length or len(body)):
        raise ClientGone
    return body
