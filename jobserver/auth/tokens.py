"""Bearer tokens of who has signed in: signed and dated, so nothing about them has to be stored."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

from jobserver.auth.keys import derive
from jobserver.errors import InvalidToken

_SALT = "jobserver.auth"  # a signature for another purpose is no token
_PAYLOAD = "signed in"  # all that a token of version 0.1 says; now also its generation and session


class Token(NamedTuple):
    """What a genuine token says. issued_at: Unix seconds.

    generation: of state.AuthState, when it was issued. session: names it in the audit.
    """

    issued_at: float
    generation: int
    session: str


def new_session() -> str:
    """Return a name for who has just signed in: it opens nothing."""
    return secrets.token_hex(8)


class TokenSigner:
    """Issues tokens, and verifies those that any of its keys and this password have issued.

    Source: https://itsdangerous.palletsprojects.com/en/stable/url_safe/
    """

    def __init__(self, keys: Sequence[str], password: str) -> None:
        """keys: newest first, as of `signing_keys`."""
        self._serializer = URLSafeTimedSerializer(
            derive(keys, password),
            salt=_SALT,
            signer_kwargs={"digest_method": hashlib.sha256},
        )

    def issue(self, generation: int = 0, session: str = "") -> str:
        """Return a new token, dated with the time of now in whole seconds."""
        return str(self._serializer.dumps([_PAYLOAD, generation, session]))

    def verify(self, token: str) -> Token:
        """Return what a genuine token says, however old it is. Raises InvalidToken."""
        try:
            payload, issued = self._serializer.loads(token, return_timestamp=True)
        except BadData as error:
            raise InvalidToken from error
        generation, session = (0, "") if payload == _PAYLOAD else payload[1:3]
        return Token(float(issued.timestamp()), generation, session)
