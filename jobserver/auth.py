"""Auth: a password is exchanged for a signed token; require_auth asks for it.

The signing keys are derived from SECRET_KEY and the password, so a changed password voids
every older token in all workers, and nothing about tokens has to be stored. Wrong
passwords are noted in the database, so all workers count together.
"""

import hashlib
import hmac
import ipaddress
import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache, lru_cache

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, Signer, URLSafeTimedSerializer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import RequestEntityTooLarge

from jobserver import db
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
from jobserver.timeouts import hurry

MAX_BODY_SIZE = 16 * 1024  # bytes
PATIENCE_S = 5.0  # with a client that has begun to send it
MAX_BODIES = 4  # received at once in one process: nobody needs a token to keep its threads busy
TURN_S = 0.2  # that a sign-in waits for its turn to be received
FREE_FAILURES = 5  # wrong passwords of one address before it has to wait
LONGEST_WAIT_S = 900.0
MEMORY_S = 900.0  # how long a wrong password is remembered
ALL_FAILURES = 100  # wrong passwords of all addresses together ...
ALL_WINDOW_S = 60.0  # ... within this time

_bodies = threading.BoundedSemaphore(MAX_BODIES)
bp = Blueprint("auth", __name__, url_prefix="/api")


@bp.post("/auth")
def sign_in() -> ResponseReturnValue:
    """Answer 200 `{"token", "expiresIn"}` (seconds); 400, 401 or 429 with Retry-After."""
    right = _is_password(_given_password())
    address = _address(request.remote_addr)
    database = db.get_db()
    with db.transaction(database):  # the clock is read once nobody else can note a try
        wait_s = _admit(database, address, right, time.time())
    if wait_s > 0:
        raise TooManyAttempts(retry_after=math.ceil(wait_s))
    if not right:
        raise InvalidPassword
    token = _serializer(*_signing_inputs()).dumps("signed in")
    return jsonify(token=token, expiresIn=current_app.config["TOKEN_MAX_AGE"])


def require_auth() -> None:
    """Let a request with a valid token through; looks at its headers alone.

    Raises AuthorizationRequired or InvalidToken (both 401 with WWW-Authenticate: Bearer).
    Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthorizationRequired(www_authenticate=WWWAuthenticate("bearer"))
    if not 0 <= time.time() - _issued_at(token.strip()) <= current_app.config["TOKEN_MAX_AGE"]:
        raise InvalidToken(www_authenticate=WWWAuthenticate("bearer"))


def _issued_at(token: str) -> float:
    """Return the Unix time of a genuine token. Raises InvalidToken."""
    try:
        return _signed_at(*_signing_inputs(), token)
    except BadData as error:
        raise InvalidToken(www_authenticate=WWWAuthenticate("bearer")) from error


@lru_cache(maxsize=1024)
def _signed_at(keys: tuple[str, ...], password: str, token: str) -> float:
    """Verify a signature once a process: it costs as much as all the rest of a status call.

    Raises BadData, which is not cached. A token's age is not part of what is remembered.
    """
    moment = _serializer(keys, password).loads(token, return_timestamp=True)[1]
    return float(moment.timestamp())


def link_signer(now: float) -> Callable[[str], str]:
    """Return what signs a path: `path?expires=...&signature=...`, which stands in for a token.

    It runs out between half a LINK_LIFETIME and a whole one after `now`: links asked for
    within the same half are the same, so that answers which carry them keep their ETag.
    """
    lifetime = current_app.config["LINK_LIFETIME"]
    step = lifetime // 2
    expires = int(now) // step * step + lifetime
    signer = _link_signer(*_signing_inputs())

    def signed(path: str) -> str:
        return f"{path}?expires={expires}&signature={_signature(signer, f'{path}?{expires}')}"

    return signed


@lru_cache(maxsize=8192)
def _signature(signer: Signer, text: str) -> str:
    """Sign once a process: a job of 200 outputs shows 400 links, and is asked for again."""
    return signer.get_signature(text).decode()


def require_auth_or_link() -> None:
    """Let a GET through whose address is signed and has time left, else as require_auth()."""
    expires, signature = request.args.get("expires", ""), request.args.get("signature", "")
    if request.method not in ("GET", "HEAD") or not signature:
        require_auth()
        return
    signer = _link_signer(*_signing_inputs())
    genuine = signer.verify_signature(f"{request.path}?{expires}", signature)
    if not genuine or not expires.isdecimal() or int(expires) < time.time():
        raise InvalidToken(www_authenticate=WWWAuthenticate("bearer"))


def _given_password() -> bytes:
    """Return the password as bytes; a lone surrogate, which no UTF-8 text can hold, too."""
    try:
        password = json.loads(_body())["password"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PasswordRequired from error
    if not isinstance(password, str) or not password:
        raise PasswordRequired
    return password.encode("utf-8", "surrogatepass")


def _body() -> bytes:
    """Return the body, which anybody may send: small, soon, and few at once.

    Raises PasswordTooLong, ClientGone, ClientTooSlow or Busy.
    """
    request.max_content_length = MAX_BODY_SIZE
    hurry(request.environ, PATIENCE_S)
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


def _is_password(given: bytes) -> bool:
    """Compare digests, whose length tells nothing, in constant time."""
    password = current_app.config["AUTH_PASSWORD"]
    if password is None:
        return False
    expected = password.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())


def _address(remote: str | None) -> str:
    """Return what is counted as one client: an IPv4 address, or a /64 network of IPv6.

    A subscriber is given a whole /64 to choose addresses from (RFC 6177).
    """
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return remote or ""  # a UNIX socket has none
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _admit(database: sqlite3.Connection, address: str, right: bool, now: float) -> float:
    """Note this try; return the seconds to wait before a try is judged, 0 when it may be told.

    One transaction, so tries at the same time over all workers share one budget. A try that
    has to wait counts as a failure whether it was right or wrong: neither its answer nor the
    next Retry-After tells which.
    """
    since = now - MEMORY_S
    alone_s, together_s = _waits_s(database, address, now)
    wait_s = max(alone_s, together_s)
    if right and wait_s <= 0:
        db.forget_sign_in_failures(database, address)
    elif together_s <= 0 and alone_s < LONGEST_WAIT_S / 2:  # else nobody writes: no flood
        db.add_sign_in_failure(database, address, since, now)
        if wait_s > 0:  # this try has made the wait longer: who waits as told is judged
            wait_s = max(_waits_s(database, address, now))
    return wait_s


def _waits_s(database: sqlite3.Connection, address: str, now: float) -> tuple[float, float]:
    """Return the seconds that this address, and that everybody, still has to wait."""
    failures = db.sign_in_failures(database, now - MEMORY_S, now)
    return _wait_alone_s(failures, address, now), _wait_together_s(failures, now)


def _wait_alone_s(failures: Iterable[sqlite3.Row], address: str, now: float) -> float:
    """Seconds this address still waits: 1 after FREE_FAILURES, doubling with each more."""
    own: list[float] = [failure["at"] for failure in failures if failure["address"] == address]
    if len(own) < FREE_FAILURES:
        return 0.0
    return own[-1] + min(2.0 ** (len(own) - FREE_FAILURES), LONGEST_WAIT_S) - now


def _wait_together_s(failures: Iterable[sqlite3.Row], now: float) -> float:
    """Seconds until fewer than ALL_FAILURES lie within the last ALL_WINDOW_S."""
    recent = [failure["at"] for failure in failures if failure["at"] > now - ALL_WINDOW_S]
    return recent[-ALL_FAILURES] + ALL_WINDOW_S - now if len(recent) >= ALL_FAILURES else 0.0


def _signing_inputs() -> tuple[tuple[str, ...], str]:
    return current_app.config["TOKEN_KEYS"], current_app.config["AUTH_PASSWORD"] or ""


@cache
def _link_signer(keys: tuple[str, ...], password: str) -> Signer:
    return Signer(_derived(keys, password), salt="jobserver.link", digest_method=hashlib.sha256)


@cache
def _serializer(keys: tuple[str, ...], password: str) -> URLSafeTimedSerializer:
    """Sign with the newest key, accept all; itsdangerous wants the newest last."""
    return URLSafeTimedSerializer(
        _derived(keys, password),
        salt="jobserver.auth",
        signer_kwargs={"digest_method": hashlib.sha256},
    )


def _derived(keys: tuple[str, ...], password: str) -> list[bytes]:
    secret = password.encode("utf-8", "surrogatepass")
    return [hmac.digest(key.encode(), secret, "sha256") for key in reversed(keys)]
