"""Who asks: what a bearer token, of a session or a key, lets its request do.

Whether a token is genuine is known without the database, once a process. Whether it still counts
is in one row (auth/state.py), which a status call reads with the job.
"""

import time
from typing import NamedTuple

from flask import Flask, current_app, g, request

from jobserver.auth import api_keys, state
from jobserver.auth.audit import NOBODY, Actor
from jobserver.auth.keys import signing_keys
from jobserver.auth.state import AuthState
from jobserver.auth.tokens import Token
from jobserver.db import Connection, DatabaseError, claiming, thread_connection
from jobserver.errors import AuthorizationRequired, InvalidToken
from jobserver.web import hot_path

BEARER = "jobserver.bearer"  # in the environ: who was let in before Flask
ALL_SCOPES = frozenset(api_keys.SCOPES)
MAX_KNOWN = 4 * api_keys.MAX_KEYS


class Bearer(NamedTuple):
    """Who was let in. key_id: of a key; None for a session, which may do everything.

    session: names it in the audit. generation: of AuthState, when this was checked.
    """

    scopes: frozenset[str]
    generation: int
    session: str = ""
    key_id: str | None = None

    @property
    def name(self) -> str:
        """What the audit calls it."""
        return f"key {self.key_id}" if self.key_id else f"session {self.session}".rstrip()

    @property
    def owner(self) -> str:
        """Whose requests these are: all sessions are the one person with the password."""
        return f"key {self.key_id}" if self.key_id else "session"


class _Known(NamedTuple):
    """A key that was looked up. revision: of AuthState, at which it was good."""

    bearer: Bearer
    revision: int
    noted_at: float  # when its use was written last, by this process


def init_app(app: Flask) -> None:
    """Remember, in each process, the keys that were looked up."""
    app.extensions["known_keys"] = {}


def bearer() -> Bearer:
    """Return who asks; require_auth() has let it in."""
    found: Bearer = g.bearer
    return found


def actor() -> Actor:
    """Return who acts, for the audit."""
    found: Bearer | None = g.get("bearer")
    return Actor(found.name if found else NOBODY, request.remote_addr)


def is_known(app: Flask, header: str, now: float) -> bool:
    """Return whether check() can ask the row alone. Raises InvalidToken as check() does."""
    token = _token(header)
    if api_keys.is_key(token):
        return api_keys.hash_of(token) in app.extensions["known_keys"]
    return _signed(app, token, now) is not None


def check(app: Flask, header: str, now: float, auth: AuthState | None = None) -> Bearer:
    """Return whom the header Authorization lets in.

    now: Unix seconds. auth: the row, where it was read already.
    Raises AuthorizationRequired, InvalidToken or DatabaseError.
    """
    token = _token(header)
    if api_keys.is_key(token):
        return _of_key(app, api_keys.hash_of(token), now, auth)
    signed = _signed(app, token, now)
    if signed.generation != (auth or state.read(_db(app))).generation:
        raise InvalidToken
    return Bearer(ALL_SCOPES, signed.generation, signed.session)


def confirm(db: Connection, found: Bearer) -> None:
    """Let what took long, as an upload, end only if it would be let in now. Raises InvalidToken."""
    if found.key_id is None:
        good = state.read(db).generation == found.generation
    else:
        good = api_keys.is_good(db, found.key_id)
    if not good:
        raise InvalidToken


def signing_inputs(app: Flask) -> tuple[tuple[str, ...], str]:
    """Return the keys, which an app reads once, and the password."""
    settings, extensions = app.extensions["settings"], app.extensions
    if "signing_keys" not in extensions:
        extensions["signing_keys"] = signing_keys(settings)
    return extensions["signing_keys"], settings.auth_password or ""


def from_headers() -> Bearer:
    """Return whom the headers of this request let in; looks at nothing else of it."""
    found: Bearer | None = request.environ.get(BEARER)
    header = request.headers.get("Authorization", "")
    return found or check(current_app, header, time.time())


def _token(header: str) -> str:
    """Return the token of a header. Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1"""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthorizationRequired
    return token.strip()


def _signed(app: Flask, token: str, now: float) -> Token:
    signed = hot_path.verified(*signing_inputs(app), token)
    if not 0 <= now - signed.issued_at <= app.extensions["settings"].token_max_age:
        raise InvalidToken
    return signed


def _of_key(app: Flask, hash_: str, now: float, auth: AuthState | None) -> Bearer:
    known: dict[str, _Known] = app.extensions["known_keys"]
    db = _db(app)
    auth = auth or state.read(db)
    key = known.get(hash_)
    if key is None or key.revision != auth.keys:
        key = _look_up(db, hash_, auth)
    if not 0 <= now - key.noted_at < api_keys.USE_NOTED_S:
        key = key._replace(noted_at=now)
        _note_use(db, key.bearer, now)
    if len(known) >= MAX_KNOWN:
        known.clear()
    known[hash_] = key
    return key.bearer._replace(generation=auth.generation)


def _look_up(db: Connection, hash_: str, auth: AuthState) -> _Known:
    found = api_keys.find(db, hash_)
    if found is None:
        raise InvalidToken
    scopes = frozenset(found.scopes.split())
    noted_at = found.last_used_at or 0.0
    return _Known(Bearer(scopes, auth.generation, key_id=found.id), auth.keys, noted_at)


def _note_use(db: Connection, found: Bearer, now: float) -> None:
    """Write when a key was used; a database that cannot be written to keeps nobody out."""
    assert found.key_id is not None  # noqa: S101  it is of a key
    try:
        with claiming(db):
            api_keys.note_use(db, found.key_id, now)
    except DatabaseError:
        return


def _db(app: Flask) -> Connection:
    return thread_connection(app.extensions["database"])
