"""The one place where the id strategy lives."""

import shortuuid


def generate_id() -> str:
    """Return a new id: 22 URL-safe letters and digits that carry 122 random bits (a UUID4)."""
    return shortuuid.uuid()
