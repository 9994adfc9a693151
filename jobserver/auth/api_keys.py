"""Keys for programs: bearer tokens that say what may be done with them, and can be revoked.

Stored as their SHA-256. A key has 256 random bits, so nobody finds it by trying, whatever the
hash costs; a slow hash, as for passwords, would make each request slow and protect nothing.
The prefix is for scanners of leaked secrets: `jsk_[0-9a-f]{64}`.
"""

import hashlib
import secrets
from typing import NamedTuple

from jobserver.auth import state
from jobserver.db import Connection
from jobserver.errors import KeyNotFound, TooManyKeys
from jobserver.ids import generate_id

PREFIX = "jsk_"
SCOPES = ("read", "create", "delete")  # cancel, retry and again are `create`
MAX_KEYS = 100
USE_NOTED_S = 60.0  # at most so often is written when a key was used


class ApiKey(NamedTuple):
    """A key, without what is secret of it. Times: Unix seconds; last_used_at within a minute."""

    id: str
    name: str
    scopes: str
    created_at: float
    last_used_at: float | None


def is_key(token: str) -> bool:
    """Whether a bearer token is meant as a key."""
    return token.startswith(PREFIX)


def hash_of(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def create(db: Connection, name: str, scopes: str, now: float) -> tuple[ApiKey, str]:
    """Make a key; return it, and its text, which nobody can read again.

    The caller holds `exclusive`. Raises TooManyKeys.
    """
    if db.value("SELECT COUNT(*) FROM api_key") >= MAX_KEYS:
        raise TooManyKeys
    text = PREFIX + secrets.token_hex(32)
    made = ApiKey(generate_id(), name, scopes, created_at=now, last_used_at=None)
    db.write(
        """INSERT INTO api_key (id, name, scopes, hash, created_at)
           VALUES (:id, :name, :scopes, :hash, :created_at)""",
        {**made._asdict(), "hash": hash_of(text)},
    )
    state.keys_changed(db)
    return made, text


def all_keys(db: Connection) -> list[ApiKey]:
    """Return the keys that are good, the newest first."""
    query = f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at DESC, id"  # noqa: S608
    return db.all(ApiKey, query)


def find(db: Connection, hash_: str) -> ApiKey | None:
    """Return the key that has this hash, or None when there is none or it was revoked."""
    return db.one(ApiKey, f"SELECT {_COLUMNS} FROM api_key WHERE hash = :hash", {"hash": hash_})  # noqa: S608


def is_good(db: Connection, key_id: str) -> bool:
    """Return whether a key has not been revoked."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM api_key WHERE id = :id)", {"id": key_id}))


def revoke(db: Connection, key_id: str) -> ApiKey:
    """Void a key from now on; return it. The caller holds `exclusive`. Raises KeyNotFound."""
    query = f"DELETE FROM api_key WHERE id = :id RETURNING {_COLUMNS}"  # noqa: S608
    found = db.one(ApiKey, query, {"id": key_id})
    if found is None:
        raise KeyNotFound
    state.keys_changed(db)
    return found


def note_use(db: Connection, key_id: str, now: float) -> None:
    """Note that a key was used, unless it was noted within the last minute."""
    query = """
        UPDATE api_key SET last_used_at = :now
        WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :before
                            OR last_used_at > :now)"""
    db.write(query, {"id": key_id, "now": now, "before": now - USE_NOTED_S})


_COLUMNS = ", ".join(ApiKey._fields)
