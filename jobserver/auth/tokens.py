"""Bearer tokens: signed and dated, so nothing about them has to be stored."""

import hashlib
from collections.abc import Sequence

from itsdangerous import BadData, URLSafeTimedSerializer

from jobserver.auth.keys import derive
from jobserver.errors import InvalidToken

_SALT = "jobserver.auth"  # a signature for another purpose is no token
_PAYLOAD = "signed in"


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

    def issue(self) -> str:
        """Return a new token, dated with the time of now in whole seconds."""
        return str(self._serializer.dumps(_PAYLOAD))

    def issued_at(self, token: str) -> float:
        """Return the Unix time of a genuine token, however old. Raises InvalidToken."""
        try:
            _payload, issued = self._serializer.loads(token, return_timestamp=True)
        except BadData as error:
            raise InvalidToken from error
        return float(issued.timestamp())
