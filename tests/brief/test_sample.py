"""A balanced sample of combinations."""

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.brief.sample import balanced
from jobserver.brief.space import Combination, Space
from tests.brief.test_space import spaces

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def spread(rows: list[Combination], axis: int, size: int) -> int:
    """Return how many times more the most frequent value of an axis is there than the rarest."""
    times = Counter(row[axis] for row in rows)
    return max(times.values()) - min(times[value] for value in range(size))


@settings(max_examples=200, deadline=None)
@given(SIZES, st.integers(1, 200))
def test_no_value_is_twice_more_than_another(sizes: list[int], number: int):
    space = Space(sizes)
    rows = balanced(space, number)
    assert len(rows) == len(set(rows)) == min(number, space.count())
    assert all(spread(rows, axis, size) <= 1 for axis, size in enumerate(sizes))


@settings(max_examples=200, deadline=None)
@given(spaces(), st.integers(1, 100))
def test_nothing_excluded_is_in_a_sample(both: tuple[Space, list[Combination]], number: int):
    space, allowed = both
    rows = balanced(space, number)
    assert len(rows) == len(set(rows)) == min(number, len(allowed))
    assert set(rows) <= set(allowed)


def test_pairs_are_spread_as_well():
    rows = balanced(Space([4, 4, 4]), 16)
    for a, b in combinations(range(3), 2):
        assert len({(row[a], row[b]) for row in rows}) == 16


def test_a_sample_of_many_values_looks_at_few():
    rows = balanced(Space([4000, 100, 5, 3, 2]), 500)
    assert spread(rows, 1, 100) == 0
    assert [row[0] for row in rows] == list(range(500))
