"""Few combinations that have every pair of values."""

from itertools import combinations

from hypothesis import given, settings

from jobserver.brief.pairs import cover, fewest
from jobserver.brief.space import Combination, Space
from tests.brief.test_space import spaces


def pairs_in(rows: list[Combination]) -> set[tuple[int, int, int, int]]:
    return {(a, row[a], b, row[b]) for row in rows for a, b in combinations(range(len(row)), 2)}


@settings(max_examples=200, deadline=None)
@given(spaces())
def test_every_pair_that_is_possible_is_there_and_nothing_excluded(
    both: tuple[Space, list[Combination]],
):
    space, allowed = both
    rows = list(cover(space))
    assert set(rows) <= set(allowed)
    assert len(set(rows)) == len(rows)
    assert pairs_in(rows) == pairs_in(allowed)
    if len(space.sizes) > 1:
        assert fewest(space) <= len(rows)


def test_it_takes_25_combinations_at_most_for_five_axes_of_four_values():
    rows = list(cover(Space([4] * 5)))
    assert len(rows) <= 25
    assert len(pairs_in(rows)) == 10 * 16


def test_two_axes_need_all_combinations_and_one_axis_all_values():
    assert sorted(cover(Space([3, 4]))) == list(Space([3, 4]))
    assert sorted(cover(Space([1, 5, 1]))) == list(Space([1, 5, 1]))
    assert list(cover(Space([3]))) == [(0,), (1,), (2,)]


def test_equal_axes_give_equal_combinations():
    assert list(cover(Space([3, 4, 2, 5]))) == list(cover(Space([3, 4, 2, 5])))
