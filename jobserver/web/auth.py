"""Signing in over HTTP, and what a request must carry to be served."""

import json
import math
import threading
import time
from collections.abc import Callable

from flask import Blueprint, Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from jobserver.auth import throttle
from jobserver.auth.keys import signing_keys
from jobserver.auth.links import expires_at, link, signed_text
from jobserver.auth.password import is_password
from jobserver.db import removing
from jobserver.errors import (
    AuthorizationRequired,
    Busy,
    ClientGone,
    InvalidPassword,
    InvalidToken,
    PasswordRequired,
    PasswordTooLong,
    TooManyAttempts,
)
from jobserver.serving.client_limits import shorten_timeout
from jobserver.web import hot_path, service_shapes
from jobserver.web.context import current_settings, get_db

MAX_BODY_SIZE = 16 * 1024  # bytes
BODY_TIMEOUT_S = 5.0  # of silence, from a client that has begun to send it
MAX_BODIES = 4  # received at once in one process: nobody needs a token to keep its threads busy
TURN_S = 0.2  # that a sign-in waits for its turn to be received

_bodies = threading.BoundedSemaphore(MAX_BODIES)
bp = Blueprint("auth", __name__, url_prefix="/api")


@bp.post("/auth")
def sign_in() -> ResponseReturnValue:
    """Answer 200 `{"token", "expiresIn"}` (seconds); 400, 401 or 429 with Retry-After."""
    settings = current_settings()
    correct = is_password(_given_password(), settings.auth_password)
    wait_s = _record_attempt(correct)
    if wait_s > 0:
        raise TooManyAttempts(retry_after=math.ceil(wait_s))
    if not correct:
        raise InvalidPassword
    token = hot_path.token_signer(*_signing_inputs(current_app)).issue()
    found: service_shapes.Token = {"token": token, "expiresIn": settings.token_max_age}
    answer = jsonify(found)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def require_auth() -> None:
    """Let a request with a valid token through; looks at its headers alone.

    Raises AuthorizationRequired or InvalidToken.
    Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    check_authorization(current_app, request.headers.get("Authorization", ""), time.time())


def check_authorization(app: Flask, header: str, now: float) -> None:
    """As require_auth(), by the header alone, also outside of a request of Flask's."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthorizationRequired
    age_s = now - hot_path.issued_at(*_signing_inputs(app), token.strip())
    if not 0 <= age_s <= app.extensions["settings"].token_max_age:
        raise InvalidToken


def require_auth_or_link() -> None:
    """Let a GET through whose address is signed and has time left, else as require_auth()."""
    expires, signature = request.args.get("expires", ""), request.args.get("signature", "")
    if request.method not in ("GET", "HEAD") or not signature:
        require_auth()
        return
    signer = hot_path.link_signer(*_signing_inputs(current_app))
    if not signer.is_valid(request.path, expires, signature, now=time.time()):
        raise InvalidToken


def link_signer(now: float) -> Callable[[str], str]:
    """Return what makes a link of a path: it opens the path without a token.

    now: Unix seconds; the link ends between half a LINK_LIFETIME and a whole one later.
    """
    return link_signer_of(current_app, now)


def link_signer_of(app: Flask, now: float) -> Callable[[str], str]:
    """As link_signer(), also outside of a request of Flask's."""
    expires = expires_at(app.extensions["settings"].link_lifetime, now)
    signer = hot_path.link_signer(*_signing_inputs(app))

    def signed(path: str) -> str:
        return link(path, expires, hot_path.link_signature(signer, signed_text(path, expires)))

    return signed


def _record_attempt(correct: bool) -> float:
    """Return the seconds to wait, 0 when the attempt may be answered."""
    db = get_db()
    with removing(db, "sign-in"):  # the clock is read where nobody else can record an attempt
        return throttle.record_attempt(db, request.remote_addr, correct=correct, now=db.clock())


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


def _signing_inputs(app: Flask) -> tuple[tuple[str, ...], str]:
    """Return the keys, which an app reads once, and the password."""
    settings, extensions = app.extensions["settings"], app.extensions
    if "signing_keys" not in extensions:
        extensions["signing_keys"] = signing_keys(settings)
    return extensions["signing_keys"], settings.auth_password or ""
