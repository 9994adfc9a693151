"""The direction of each character of a paragraph: Unicode's bidirectional algorithm.

The library that shapes text does this too, but for one font. A line of several fonts must be cut
into runs of one font and one direction first, and those laid beside each other as they are read.

Explicit embeddings, overrides and isolates are not supported: a brief must not have them. Numbers
of the rules are those of UAX #9, https://www.unicode.org/reports/tr9/
"""

import unicodedata
from collections.abc import Sequence

_STRONG = ("L", "R", "AL")
_NEUTRAL = ("B", "S", "WS", "ON")
_OPENING, _CLOSING = (
    "([{\u2329\u27e8\u3008\u300a\u300c\u3010",
    ")]}\u232a\u27e9\u3009\u300b\u300d\u3011",
)
_MAX_OPEN = 63  # brackets, as the rule BD16 says


def base_level(text: str) -> int:
    """Return 1 for a paragraph that is read from right to left, else 0 (P2, P3)."""
    kinds = map(unicodedata.bidirectional, text)
    return int(next((kind for kind in kinds if kind in _STRONG), "L") != "L")


def levels(text: str, base: int) -> list[int]:
    """Return the level of each character: even is left to right, odd right to left."""
    kinds = [_kind(character) for character in text]
    strong = "R" if base else "L"
    _resolve_weak(kinds, strong)
    _resolve_brackets(text, kinds, strong)
    _resolve_neutral(kinds, strong)
    found = [_implicit(kind, base) for kind in kinds]
    end = len(text.rstrip())  # L1: white space at the end lies on the side where the line ends
    return found[:end] + [base] * (len(text) - end)


def visual_order(of_runs: Sequence[int]) -> list[int]:
    """Return the places of runs from left to right, given their levels (L2)."""
    places = list(range(len(of_runs)))
    for level in range(max(of_runs, default=0), 0, -1):
        start = 0
        while start < len(places):
            end = start
            while end < len(places) and of_runs[places[end]] >= level:
                end += 1
            places[start:end] = reversed(places[start:end])
            start = end + 1
    return places


def _kind(character: str) -> str:
    kind = unicodedata.bidirectional(character) or "L"
    return "BN" if kind in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") else kind


def _resolve_weak(kinds: list[str], strong: str) -> None:
    """Resolve marks, numbers and what belongs to them (W1 to W7)."""
    _inherit_marks(kinds, strong)
    last = strong
    for n, kind in enumerate(kinds):
        if kind in _STRONG:
            last = kind
        elif kind == "EN" and last == "AL":
            kinds[n] = "AN"
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    _join_numbers(kinds)
    last = strong
    for n, kind in enumerate(kinds):
        if kind in ("L", "R"):
            last = kind
        elif kind == "EN" and last == "L":
            kinds[n] = "L"


def _inherit_marks(kinds: list[str], strong: str) -> None:
    """Give marks, and characters that are not drawn, the kind of what is before them (W1, X9)."""
    before = strong
    for n, kind in enumerate(kinds):
        if kind in ("NSM", "BN"):
            kinds[n] = before
        before = kinds[n]


def _join_numbers(kinds: list[str]) -> None:
    """Make separators and signs of numbers a part of them; others are neutral (W4 to W6)."""
    for n in range(1, len(kinds) - 1):
        before, kind, after = kinds[n - 1 : n + 2]
        if (kind == "ES" and before == after == "EN") or (
            kind == "CS" and before == after and before in ("EN", "AN")
        ):
            kinds[n] = before
    for n, kind in enumerate(kinds):  # forwards, then backwards
        if kind == "ET" and n and kinds[n - 1] == "EN":
            kinds[n] = "EN"
    for n in range(len(kinds) - 2, -1, -1):
        if kinds[n] == "ET" and kinds[n + 1] == "EN":
            kinds[n] = "EN"
    kinds[:] = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]


def _resolve_brackets(text: str, kinds: list[str], strong: str) -> None:
    """Give a pair of brackets the direction of what is in it, or of what is before (N0)."""
    for start, end in _pairs(text, kinds):
        inside = {_direction(kind) for kind in kinds[start + 1 : end]} - {""}
        if strong in inside:
            kinds[start] = kinds[end] = strong
        elif inside:
            before = (_direction(kind) for kind in reversed(kinds[:start]))
            other = next((direction for direction in before if direction), strong)
            kinds[start] = kinds[end] = other if other in inside else strong


def _pairs(text: str, kinds: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of brackets that belong together, by their start (BD16)."""
    pairs: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    for n, character in enumerate(text):
        if kinds[n] != "ON":
            continue
        if character in _OPENING:
            if len(opened) == _MAX_OPEN:
                break
            opened.append((_CLOSING[_OPENING.index(character)], n))
        elif character in _CLOSING:
            places = [place for place, (closing, _) in enumerate(opened) if closing == character]
            if places:
                pairs.append((opened[places[-1]][1], n))
                del opened[places[-1] :]
    return sorted(pairs)


def _direction(kind: str) -> str:
    """Return L or R for what is strong beside neutrals (numbers count as R), else nothing."""
    return "L" if kind == "L" else "R" if kind in ("R", "EN", "AN") else ""


def _resolve_neutral(kinds: list[str], strong: str) -> None:
    """Give neutrals the direction of both sides where it is the same, else the base's (N1, N2)."""
    n = 0
    while n < len(kinds):
        start = n
        while n < len(kinds) and kinds[n] in _NEUTRAL:
            n += 1
        if n > start:
            before = _direction(kinds[start - 1]) if start else strong
            after = _direction(kinds[n]) if n < len(kinds) else strong
            kinds[start:n] = [before if before == after else strong] * (n - start)
        n = max(n, start + 1)


def _implicit(kind: str, base: int) -> int:
    """Return the level of a resolved kind (I1, I2)."""
    if base:
        return 1 if kind == "R" else 2
    return {"L": 0, "R": 1}.get(kind, 2)
