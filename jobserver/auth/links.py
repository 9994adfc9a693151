"""Signed links: `path?expires=...&signature=...` opens that one path until a moment."""

import hashlib
from collections.abc import Sequence

from itsdangerous import Signer

from jobserver.auth.keys import derive

_SALT = "jobserver.link"  # a token is no link and a link no token


class LinkSigner:
    """Signs paths, and verifies what any of its keys and this password have signed."""

    def __init__(self, keys: Sequence[str], password: str) -> None:
        """keys: newest first, as of `signing_keys`."""
        self._signer = Signer(derive(keys, password), salt=_SALT, digest_method=hashlib.sha256)

    def signature(self, text: str) -> str:
        """Return the signature of `text`: URL-safe base64 of SHA-256's HMAC."""
        return self._signer.get_signature(text).decode()

    def verify(self, text: str, signature: str) -> bool:
        """Whether `signature`, which may be any text, is one of `text`."""
        return self._signer.verify_signature(text, signature)

    def is_valid(
        self, path: str, expires: str, signature: str, *, now: float, generation: int = 0
    ) -> bool:
        """Whether these two parameters of a link, as they came, open `path` at `now`."""
        text = signed_text(path, expires, generation)
        genuine = self.verify(text, signature)  # what we made is a number
        return genuine and expires.isdecimal() and now <= int(expires)


def expires_at(lifetime_s: int, now: float) -> int:
    """Return when a link made at `now` ends, Unix seconds: between half a lifetime and a whole one.

    Links made within the same half are the same, so that answers that carry them keep their ETag.
    """
    step = lifetime_s // 2
    return int(now) // step * step + lifetime_s


def signed_text(path: str, expires: int | str, generation: int = 0) -> str:
    """Return what the signature of a link signs. generation: see state.AuthState."""
    return f"{path}?{expires}" + (f"?{generation}" if generation else "")


def link(path: str, expires: int, signature: str) -> str:
    """Return the whole link."""
    return f"{path}?expires={expires}&signature={signature}"
