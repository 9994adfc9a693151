"""Combinations without the excluded ones, counted and walked."""

import time
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.brief.errors import BriefError
from jobserver.brief.space import Combination, Space


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Space, list[Combination]]:
    """Return a space and all its combinations, found by trying each."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    axes = range(len(sizes))
    exclusions = draw(
        st.lists(
            st.sets(st.sampled_from(axes), min_size=1, max_size=3).flatmap(
                lambda chosen: st.fixed_dictionaries(
                    {
                        axis: st.frozensets(st.integers(0, sizes[axis] - 1), min_size=1)
                        for axis in sorted(chosen)
                    }
                )
            ),
            max_size=5,
        )
    )
    allowed = [
        each
        for each in product(*map(range, sizes))
        if not any(all(each[axis] in its for axis, its in x.items()) for x in exclusions)
    ]
    return Space(sizes, exclusions), allowed


@settings(max_examples=100, deadline=None)
@given(spaces())
def test_a_space_has_what_no_exclusion_matches(both: tuple[Space, list[Combination]]):
    space, allowed = both
    assert list(space) == allowed
    assert space.count() == len(allowed)
    for each in product(*map(range, space.sizes)):
        assert space.allows(each) == (each in set(allowed))
        assert space.below(each[:2]) == sum(other[:2] == each[:2] for other in allowed)


@settings(max_examples=100, deadline=None)
@given(spaces())
def test_pairs_are_those_of_some_combination(both: tuple[Space, list[Combination]]):
    space, allowed = both
    axes = list(combinations(range(len(space.sizes)), 2))
    there = {(a, each[a], b, each[b]) for each in allowed for a, b in axes}
    assert set(space.pairs()) == there
    for a, b in axes:
        assert space.pairs_of(a, b) == sum(pair[::2] == (a, b) for pair in there)


def test_combinations_that_fit_in_no_list_are_counted_at_once():
    exclusions = [{0: frozenset({n}), 5: frozenset({n})} for n in range(9)]
    started = time.monotonic()
    assert Space([10] * 60, exclusions).count() == 10**60 - 9 * 10**58
    assert time.monotonic() - started < 1


def test_exclusions_that_take_too_long_to_follow_are_refused():
    exclusions = [
        {axis: frozenset({value}), 8: frozenset({value})}
        for axis in range(8)
        for value in range(20)
    ]
    started = time.monotonic()
    with pytest.raises(BriefError, match=r"\Aexclude is too long"):
        Space([20] * 9, exclusions).count()
    assert time.monotonic() - started < 5
