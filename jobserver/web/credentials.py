"""What is said of the Content Credentials (C2PA) of sources. What we render carries none."""

import json
from collections.abc import Iterable

from jobserver.jobs.model import File
from jobserver.web.shapes import ContentCredentials

SENTENCE = "The source carries Content Credentials; the variants do not."


def credentials_json(file: File) -> ContentCredentials | None:
    """Describe the Content Credentials of a source; None where it carries none.

    claimGenerator: the software that made them, or null. aiMade: whether they mark it as made, or
    composed, with generative AI. They are not verified.
    """
    if file.credentials is None:
        return None
    found = json.loads(file.credentials)
    return {
        "claimGenerator": found["generator"],
        "aiMade": found["aiMade"],
        "sentence": SENTENCE,
    }


def in_words(files: Iterable[File]) -> str | None:
    """Name the sources with Content Credentials in one cell of a table; None without any."""
    return "; ".join(filter(None, map(_in_words, files))) or None


def _in_words(file: File) -> str | None:
    found = credentials_json(file)
    if found is None:
        return None
    by = found["claimGenerator"] or "unknown claim generator"
    return f"{file.name}: {by}{', marked as AI-made' * found['aiMade']}"
