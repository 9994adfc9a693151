"""Finding jobs by their titles: as people type them, whatever the case."""

import unicodedata


def title_key(title: str) -> str:
    """Return a title as a search compares it: without case, compatible letters as one."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def containing(words: str) -> str:
    """Return the LIKE pattern of keys that contain these words; `!` escapes."""
    escaped = "".join(f"!{letter}" if letter in "!%_" else letter for letter in title_key(words))
    return f"%{escaped}%"
