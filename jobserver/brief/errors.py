"""What is wrong with a brief, and where."""

import json

SHOWN = 40  # characters of a client's text that a sentence repeats


class BriefError(ValueError):
    """A brief that cannot be followed. path: of the key at fault, as `headlines[1].text`.

    str() is one sentence that begins with the path.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


def quoted(value: object) -> str:
    """Return a client's value as JSON in ASCII, cut where it is long: it cannot forge a line."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN + 2 else f"{text[:SHOWN]}..."
