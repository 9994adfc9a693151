"""What a client asks for, as text: form fields and queries."""

import re
import unicodedata
from collections.abc import Container, Mapping
from typing import Any

from jobserver.brief.parse import parse_recipe
from jobserver.brief.text import problem
from jobserver.errors import InvalidOption
from jobserver.jobs.model import ENDED, UNFINISHED, WEBHOOK_EVENTS, JobOptions, Webhook
from jobserver.render import DEFAULT_RECIPE, UnknownRecipe
from jobserver.webhooks.address import Allowed, read_url

DEFAULT_VARIATIONS = 5
MAX_VARIATIONS = 20
MAX_SEED = 2**53 - 1  # the largest whole number that JSON carries through JavaScript
DEFAULT_EVENTS = tuple(event for event in WEBHOOK_EVENTS if event.startswith("job."))
PAGE_SIZE = 50
STATUSES = (*UNFINISHED, *ENDED)
MAX_TITLE_LENGTH = 200  # characters
# That the form of an upload may have.
FIELDS = frozenset({"variations", "recipe", "seed", "title", "brief", "webhook", "webhookEvents"})
# ECMA-262, 19.2.5 parseInt and 12.2, 12.3: what is white space there; `0x` alone is no number.
_INTEGER = re.compile(
    "[\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"
    "([+-]?)(?:0[xX]([0-9a-fA-F]+)|(?!0[xX])([0-9]+))"
)


def job_options(fields: Mapping[str, str], new_seed: int) -> JobOptions:
    """Read `variations`, `recipe` and `seed`; `new_seed` when none is given.

    Raises InvalidOption, or BriefError for a recipe that is an object.
    """
    drawn_from = recipe(fields.get("recipe"))
    return JobOptions(variations(fields.get("variations")), drawn_from, _seed(fields, new_seed))


def recipe(text: str | None) -> str:
    """Return the text of a recipe (brief/recipes.py), that of the default one without one.

    text: a name, or ranges as a JSON object. Raises InvalidOption or BriefError.
    """
    try:
        return parse_recipe(text or DEFAULT_RECIPE)
    except UnknownRecipe as error:
        raise InvalidOption(str(error)) from error


def ignored_fields(fields: Mapping[str, Any], known: Container[str] = ()) -> list[str]:
    """Return the names that mean nothing here, as `recipies`, each once, in their sequence.

    known: names that do beside FIELDS.
    """
    return [name for name in fields if name not in FIELDS and name not in known]


def variations(text: str | None) -> int:
    """Return how many variations of each video `text` asks for: 5 if it is no number, 1 to 20."""
    found = looks(text)
    return DEFAULT_VARIATIONS if found is None else found


def looks(text: str | None) -> int | None:
    """Return the number that `variations` begins with, brought into 1 to 20; None without one.

    As JavaScript's parseInt reads it: `7x` is 7, `1e2` is 1, `0x10` is 16.
    """
    found = _INTEGER.match(text or "")
    if found is None:
        return None
    sign, hexadecimal, decimal = found.groups()
    digits = (hexadecimal or decimal).lstrip("0")[:9] or "0"  # more are more than enough
    number = int(sign + digits, 16 if hexadecimal else 10)
    return min(max(number, 1), MAX_VARIATIONS)


def title(text: str | None) -> str | None:
    """Return the title of a job, None for an empty one. Raises InvalidOption."""
    found = unicodedata.normalize("NFC", (text or "").strip())
    if len(found) > MAX_TITLE_LENGTH:
        raise InvalidOption(f"title must have at most {MAX_TITLE_LENGTH} characters")
    if found and ("\n" in found or problem(found)):
        raise InvalidOption("title must be one line of text without control characters")
    return found or None


def webhook(url: str | None, events: Any, allowed: Allowed) -> Webhook | None:
    """Return what a job posts where; None without a URL.

    events: names in a text, between commas or spaces, or a list of them; None: those of the job.
    allowed: what WEBHOOK_ALLOW names. Raises InvalidOption.
    """
    if url is None:
        if events is not None:
            raise InvalidOption("webhookEvents needs a webhook")
        return None
    try:
        read_url(url.strip(), allowed)
    except ValueError as error:
        raise InvalidOption(f"webhook {error}") from error
    return Webhook(url.strip(), DEFAULT_EVENTS if events is None else _events(events))


def _events(value: Any) -> tuple[str, ...]:
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    known = isinstance(names, list | tuple) and all(each in WEBHOOK_EVENTS for each in names)
    if not known or not names:
        raise InvalidOption(f"webhookEvents must name some of: {', '.join(WEBHOOK_EVENTS)}")
    return tuple(event for event in WEBHOOK_EVENTS if event in names)


def search(text: str | None) -> str | None:
    """Return what titles or file names shall contain, None for anything. Raises InvalidOption."""
    if len(text or "") > MAX_TITLE_LENGTH:
        raise InvalidOption(f"q must have at most {MAX_TITLE_LENGTH} characters")
    return (text or "").strip() or None


def job_status(text: str | None) -> str | None:
    """Return the state that listed jobs shall have, None for any. Raises InvalidOption."""
    if text and text not in STATUSES:
        raise InvalidOption(f"status must be one of: {', '.join(STATUSES)}")
    return text or None


def output_ids(value: Any) -> list[str] | None:
    """Return the ids that a ZIP shall have, None for all. value: a list, or a text with commas.

    Raises InvalidOption.
    """
    if value is None:
        return None
    ids = value.split(",") if isinstance(value, str) else value
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise InvalidOption("outputs must be ids of outputs")
    if not ids:
        raise InvalidOption("outputs must name at least one output")
    return ids


def page_size(text: str | None) -> int:
    """Return how many jobs `limit` asks for, PAGE_SIZE at most. Raises InvalidOption."""
    if text is None:
        return PAGE_SIZE
    digits = text.lstrip("0")[:9]  # more are more than enough
    if not text.isdecimal() or not digits:
        raise InvalidOption("limit must be a whole number of at least 1")
    return min(int(digits), PAGE_SIZE)


def shows_outputs(text: str | None) -> bool:
    """Return whether a job is shown with its outputs: unless `outputs` is `false`."""
    return text != "false"


def _seed(fields: Mapping[str, str], new_seed: int) -> int:
    text = fields.get("seed", "").strip()
    if not text:
        return new_seed
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and int(text) <= MAX_SEED):
        raise InvalidOption(f"seed must be a whole number from 0 to {MAX_SEED}")
    return int(text)
