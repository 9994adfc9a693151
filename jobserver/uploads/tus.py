"""The headers of tus 1.0.0, the protocol of resumable uploads.

Source: https://tus.io/protocols/resumable-upload (core protocol, and its extensions creation,
creation-with-upload, checksum, expiration, termination).
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import TypeAlias

from jobserver.errors import ChecksumMismatch, InvalidOption

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
ALGORITHMS = ("sha1", "sha256")
CONTENT_TYPE = "application/offset+octet-stream"
MAX_DIGITS = 18  # of a number of bytes that every database keeps

Metadata: TypeAlias = Mapping[str, str]

_KEY = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas


def length(name: str, text: str | None) -> int:
    """Return the bytes that a header gives. Raises InvalidOption."""
    if text is None:
        raise InvalidOption(f"{name} required")
    if not (text.isascii() and text.isdecimal() and len(text.lstrip("0")) <= MAX_DIGITS):
        raise InvalidOption(f"{name} must be a number of bytes")
    return int(text)


def metadata(text: str | None) -> Metadata:
    """Return what Upload-Metadata says: keys, and texts in Base64. Raises InvalidOption."""
    found: dict[str, str] = {}
    for pair in (text or "").split(",") if (text or "").strip() else ():
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise InvalidOption("Upload-Metadata must have pairs of a key and a value in Base64")
        value = _decoded("Upload-Metadata", encoded.strip()).decode("utf-8", "replace")
        found[key] = value.replace("\0", "\ufffd")  # which PostgreSQL's text cannot have
    return found


class Checksum:
    """What the bytes of one request shall have, by its header Upload-Checksum."""

    def __init__(self, text: str) -> None:
        """Raise InvalidOption."""
        algorithm, _, encoded = text.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            raise InvalidOption(f"Unknown checksum (choose one of: {', '.join(ALGORITHMS)})")
        self._expected = _decoded("Upload-Checksum", encoded.strip())
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        """Count in the next piece."""
        self._digest.update(piece)

    def verify(self) -> None:
        """Raise ChecksumMismatch unless they are the bytes that were meant."""
        if not hmac.compare_digest(self._digest.digest(), self._expected):
            raise ChecksumMismatch


def _decoded(name: str, encoded: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidOption(f"{name} is not in Base64") from error
