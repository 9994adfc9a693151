"""The secret of webhooks, and the headers that it signs.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
_PURPOSE = b"jobserver.webhook"  # what else is derived from a key tells nothing about this


def secret_of(key: str) -> bytes:
    """Return the secret that follows from a key of SECRET_KEY: 32 bytes."""
    return hmac.digest(key.encode(), _PURPOSE, "sha256")


def secret_text(key: str) -> str:
    """Return the secret as receivers are given it: `whsec_` and base64."""
    return PREFIX + b64encode(secret_of(key)).decode()


def signed_headers(
    keys: Sequence[str], message_id: str, body: bytes, timestamp: int
) -> Mapping[str, str]:
    """Return the headers of a message; timestamp: Unix seconds of this attempt.

    keys: each of them signs, so that receivers can be given another secret before the old one
    goes.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signatures = (b64encode(hmac.digest(secret_of(key), signed, "sha256")) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each.decode()}" for each in signatures),
    }
