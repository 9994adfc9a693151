"""The one place where the id strategy lives."""

import shortuuid


def generate_id() -> str:
    """Return a new id: 22 URL-safe letters and digits that carry 122 random bits (a UUID4)."""
    return shortuuid.uuid()


def derive_id(*words: str | int) -> str:
    """Return the id that these words always have, as URL-safe as generate_id().

    As hard to guess as the hardest of its words (a UUID5 is a hash of its name).
    """
    return shortuuid.uuid(name="/".join(str(word) for word in words))
