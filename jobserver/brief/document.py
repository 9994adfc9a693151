"""JSON that a client wrote, read strictly: what two readers could read differently is refused.

Python's reader takes NaN, Infinity and numbers beyond a double, keeps the last of equal keys, and
lets half a surrogate pass, which no file name and no database can hold (RFC 8259, 4, 6 and 8.2;
RFC 7493).
"""

import json
import math
import re
from typing import Any

from jobserver.brief.errors import BriefError, quoted

MAX_SIZE = 64 * 1024  # bytes of a brief
MAX_DEPTH = 16  # a brief has four
MAX_NUMBER = 2**53  # larger ones a double does not hold exactly
WHOLE = "brief"  # the path of all of it
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def decode(text: str, max_size: int = MAX_SIZE, whole: str = WHOLE) -> Any:
    """Return the value of a JSON text of at most `max_size` bytes of UTF-8. Raises BriefError.

    whole: the path of all of it.
    """
    if len(text) > max_size or len(text.encode(errors="surrogatepass")) > max_size:
        raise BriefError(whole, f"is larger than {max_size} bytes")
    try:
        return _checked(json.loads(text, object_pairs_hook=_Object), "", MAX_DEPTH)
    except BriefError as error:
        raise BriefError(error.path or whole, error.reason) from None
    except RecursionError:
        raise BriefError(whole, "is nested too deeply") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BriefError(whole, f"is not JSON: {error.msg} at {place}") from None
    except ValueError:  # more digits than Python converts
        raise BriefError(whole, "has a number with too many digits") from None


def require_size(value: object) -> None:
    """Raise BriefError for a brief that was decoded as part of a larger text and is too large."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_SIZE:
        raise BriefError(WHOLE, f"is larger than {MAX_SIZE} bytes")


def key_path(path: str, key: str) -> str:
    """Return the path of a key: `headlines[1].text`, `["odd key"]`."""
    if not _PLAIN_KEY.match(key):
        return f"{path}[{quoted(key)}]"
    shown = key if len(key) <= 40 else f"{key[:40]}..."
    return f"{path}.{shown}" if path else shown


def item_path(path: str, index: int) -> str:
    """Return the path of an item of a list."""
    return f"{path}[{index}]"


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object as they were written, also with equal keys."""


def _checked(value: Any, path: str, depth: int) -> Any:
    """Return the value with its objects as dictionaries.

    Raises BriefError; its path is empty for all of it.
    """
    if depth == 0:
        raise BriefError(path, "is nested too deeply")
    if isinstance(value, _Object):
        return _dictionary(value, path, depth)
    if isinstance(value, list):
        items = enumerate(value)
        return [_checked(item, item_path(path, n), depth - 1) for n, item in items]
    if isinstance(value, float) and not math.isfinite(value):
        raise BriefError(path, "is not a number that JSON has")
    if isinstance(value, int | float) and abs(value) > MAX_NUMBER:
        raise BriefError(path, "is too large a number")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise BriefError(path, "has half a surrogate pair, which is no character")
    return value


def _dictionary(members: _Object, path: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in members:
        place = key_path(path, key)
        if key in found:
            raise BriefError(place, "is there twice")
        if _SURROGATE.search(key):
            raise BriefError(place, "has half a surrogate pair, which is no character")
        found[key] = _checked(value, place, depth - 1)
    return found
