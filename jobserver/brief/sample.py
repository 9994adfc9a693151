"""Some combinations of many in which the values of each axis are equally frequent.

Nothing is drawn at random: equal axes always give equal combinations.
"""

from collections import Counter
from collections.abc import Iterator

from jobserver.brief.space import Combination, Space


def balanced(space: Space, number: int) -> list[Combination]:
    """Return that many different combinations, or all where there are fewer.

    On every axis one value is at most once more than another, unless exclusions forbid it.
    """
    if number >= space.count():
        return list(space)
    return _levelled(space, list(_spread(space, number)))


def _spread(space: Space, number: int) -> Iterator[Combination]:
    """Yield combinations of values that are rare so far, and were rarely with one another."""
    begun: Counter[Combination] = Counter()  # how many combinations begin so
    pairs: Counter[tuple[int, int, int, int]] = Counter()
    used = [[0] * size for size in space.sizes]
    for _ in range(number):
        row: Combination = ()
        for axis in range(len(space.sizes)):
            row = next(
                longer
                for value in _rarest_first(row, used[axis], pairs)
                if begun[longer := (*row, value)] < space.below(longer)
            )
            begun[row] += 1
            used[axis][row[axis]] += 1
            pairs.update(_pairs_of_last(row))
        yield row


def _rarest_first(
    row: Combination, used: list[int], pairs: Counter[tuple[int, int, int, int]]
) -> Iterator[int]:
    """Yield the values of the next axis: the rarest first, of those the rarest beside the row's."""
    for times in sorted(set(used)):
        values = [value for value, its in enumerate(used) if its == times]
        if times:  # else none of them was beside any
            values.sort(key=lambda value: sum(pairs[p] for p in _pairs_of_last((*row, value))))
        yield from values


def _pairs_of_last(row: Combination) -> list[tuple[int, int, int, int]]:
    """Return the pairs of the last value with each before it: axis, value, axis, value."""
    last = len(row) - 1
    return [(axis, value, last, row[last]) for axis, value in enumerate(row[:last])]


def _levelled(space: Space, rows: list[Combination]) -> list[Combination]:
    """Give rows with a frequent value a rare one, until no value is twice rarer than another.

    A frequent value is in more rows than a rare one, so one of its rows, with the rare value, is
    not there yet: without exclusions each axis comes out level, and no other axis changes.
    """
    for axis, size in enumerate(space.sizes):
        used = Counter(dict.fromkeys(range(size), 0))
        used.update(row[axis] for row in rows)
        while max(used.values()) - min(used.values()) > 1:
            if (change := _change(space, rows, axis, used)) is None:
                break
            index, row = change
            used.subtract([rows[index][axis]])
            used.update([row[axis]])
            rows[index] = row
    return rows


def _change(
    space: Space, rows: list[Combination], axis: int, used: Counter[int]
) -> tuple[int, Combination] | None:
    """Return the place of a row with one of the most frequent values, and what it shall be."""
    most, there = max(used.values()), set(rows)
    rare = [value for value, times in used.items() if times < most - 1]
    for index, row in enumerate(rows):
        if used[row[axis]] < most:
            continue
        for value in sorted(rare, key=lambda value: used[value]):
            other = (*row[:axis], value, *row[axis + 1 :])
            if other not in there and space.allows(other):
                return index, other
    return None
