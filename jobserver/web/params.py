"""What a client asks for, as text: form fields and the query of the list of jobs."""

import math
from collections.abc import Mapping

from jobserver.errors import InvalidOption
from jobserver.jobs.model import JobOptions
from jobserver.render import DEFAULT_RECIPE, RECIPES

DEFAULT_VARIATIONS = 5
MAX_VARIATIONS = 20
MAX_SEED = 2**53 - 1  # the largest whole number that JSON carries through JavaScript
PAGE_SIZE = 50
FIELDS = frozenset({"variations", "recipe", "seed"})  # that the form of an upload may have


def job_options(fields: Mapping[str, str], new_seed: int) -> JobOptions:
    """Read `variations`, `recipe` and `seed`; `new_seed` when none is given.

    Raises InvalidOption.
    """
    recipe = fields.get("recipe") or DEFAULT_RECIPE
    if recipe not in RECIPES:
        raise InvalidOption(f"Unknown recipe (choose one of: {', '.join(RECIPES)})")
    return JobOptions(variations(fields.get("variations")), recipe, _seed(fields, new_seed))


def ignored_fields(fields: Mapping[str, str]) -> list[str]:
    """Return the names that mean nothing here, as `recipies`, each once, in their sequence."""
    return [name for name in fields if name not in FIELDS]


def variations(text: str | None) -> int:
    """Return how many variations of each video `text` asks for: 5 if it is no number, 1 to 20."""
    try:
        number = float(text or "")
    except ValueError:
        return DEFAULT_VARIATIONS
    if math.isnan(number):
        return DEFAULT_VARIATIONS
    return int(min(max(number, 1), MAX_VARIATIONS))


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
