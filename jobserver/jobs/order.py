"""What is asked for: the form fields of an upload become an Order."""

import math
from collections.abc import Mapping

from jobserver.errors import InvalidOrder
from jobserver.jobs.store import Order
from jobserver.render import DEFAULT_RECIPE, RECIPES

DEFAULT_VARIATIONS = 5
MAX_VARIATIONS = 20
MAX_SEED = 2**53 - 1  # the largest whole number that JSON carries through JavaScript


def parse_order(form: Mapping[str, str], new_seed: int) -> Order:
    """Read `variations`, `recipe` and `seed`. Raises InvalidOrder (400)."""
    recipe = form.get("recipe") or DEFAULT_RECIPE
    if recipe not in RECIPES:
        raise InvalidOrder(f"Unknown recipe (choose one of: {', '.join(RECIPES)})")
    return Order(parse_variations(form.get("variations")), recipe, _seed(form, new_seed))


def parse_variations(text: str | None) -> int:
    """Return how many variations of each video `text` asks for: 5 if it is no number, 1 to 20."""
    try:
        number = float(text or "")
    except ValueError:
        return DEFAULT_VARIATIONS
    if math.isnan(number):
        return DEFAULT_VARIATIONS
    return int(min(max(number, 1), MAX_VARIATIONS))


def _seed(form: Mapping[str, str], new_seed: int) -> int:
    text = form.get("seed", "").strip()
    if not text:
        return new_seed
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and int(text) <= MAX_SEED):
        raise InvalidOrder(f"seed must be a whole number from 0 to {MAX_SEED}")
    return int(text)
