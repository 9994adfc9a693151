"""The one password of the server."""

import hashlib
import hmac


def is_password(given: str, expected: str | None) -> bool:
    """Whether `given` is the password; never, when none is configured.

    Compares digests in constant time: neither length nor content shows in the time it takes.
    Both may be any text, also with lone surrogates, which plain UTF-8 cannot hold.
    """
    if expected is None:
        return False
    return hmac.compare_digest(_digest(given), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
