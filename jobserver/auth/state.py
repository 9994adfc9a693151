"""What voids what was let in before: two numbers that grow, in one row that every request reads.

All processes and hosts see the row, so a key that is revoked, or a sign-out everywhere, holds from
the next request on. What else a process knows of tokens and keys it may keep as long as the row
is the same.
"""

from functools import lru_cache
from typing import NamedTuple

from jobserver.db import Connection, meta

NAME = "auth"  # of the row; without one both are 0


class AuthState(NamedTuple):
    """generation: of tokens and links, grows when all sessions end.

    keys: grows when a key is made or revoked.
    """

    generation: int
    keys: int


def read(db: Connection) -> AuthState:
    """Return the numbers as they are now."""
    return parse(meta.find(db, NAME))


@lru_cache(maxsize=16)
def parse(text: str | None) -> AuthState:
    """Return the numbers that the row holds."""
    return AuthState(0, 0) if text is None else AuthState(*map(int, text.split()))


def end_sessions(db: Connection) -> None:
    """Void every token and every signed link. The caller holds `exclusive`."""
    now = read(db)
    _write(db, now._replace(generation=now.generation + 1))


def keys_changed(db: Connection) -> None:
    """Let every process look at the keys again. The caller holds `exclusive`."""
    now = read(db)
    _write(db, now._replace(keys=now.keys + 1))


def _write(db: Connection, state: AuthState) -> None:
    meta.note(db, NAME, f"{state.generation} {state.keys}")
