"""Every combination of some axes but the excluded ones: counted and walked without a list of them.

A combination is a tuple with the index of one value an axis. What is still possible below some
chosen values depends on them only through the exclusions that have matched so far, a bit each in
one integer; where none has, all combinations below are allowed and their number is a product. So
a million combinations are counted in as many steps as there are exclusions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, product
from math import prod
from typing import TypeAlias

from jobserver.brief.errors import BriefError

Combination: TypeAlias = tuple[int, ...]
Exclusions: TypeAlias = Sequence[Mapping[int, frozenset[int]]]  # axis -> values; all must match

MAX_STEPS = 400_000  # about half a second; then `exclude` is no list a person wrote


class Space:
    """The combinations of axes of these sizes without those that an exclusion matches.

    Raises BriefError where exclusions need more than MAX_STEPS steps.
    """

    def __init__(self, sizes: Sequence[int], exclusions: Exclusions = ()) -> None:
        self.sizes = tuple(sizes)
        self._exclusions = exclusions
        self._every = (1 << len(exclusions)) - 1
        self._counts: dict[tuple[int, int], int] = {}
        self._steps = 0

    @cached_property
    def _masks(self) -> list[list[int]]:
        """For each value of each axis the exclusions that it may be part of, a bit each."""
        masks = []
        for axis, size in enumerate(self.sizes):
            named = [0] * size
            free = self._every
            for n, exclusion in enumerate(self._exclusions):
                for value in exclusion.get(axis, ()):
                    named[value] |= 1 << n
                free &= ~(axis in exclusion and 1 << n)
            masks.append([free | mask for mask in named])
        return masks

    @cached_property
    def _alike(self) -> list[Counter[int]]:
        """For each axis how many values have each mask: they do the same."""
        return [Counter(masks) for masks in self._masks]

    @cached_property
    def _ended(self) -> list[int]:
        """For each axis the exclusions that name no later one: they have matched if they live."""
        last = [max(exclusion, default=0) for exclusion in self._exclusions]
        return [
            sum(1 << n for n, end in enumerate(last) if end <= axis)
            for axis in range(len(self.sizes))
        ]

    def count(self) -> int:
        """Return the number of combinations; it may be more than any list has."""
        return self._below(0, self._every)

    def __iter__(self) -> Iterator[Combination]:
        """Yield every combination; the last axis changes fastest."""
        return self._walk((), self._every)

    def allows(self, combination: Combination) -> bool:
        """Whether no exclusion matches."""
        return self.possible(dict(enumerate(combination)))

    def possible(self, chosen: Mapping[int, int]) -> bool:
        """Whether a combination has these values. chosen: axis -> index of its value."""
        return self._possible(0, self._every, chosen)

    def pairs(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield each two axes and a value of each that some combination has together."""
        for a, b in combinations(range(len(self.sizes)), 2):
            for i, j in product(range(self.sizes[a]), range(self.sizes[b])):
                if self.possible({a: i, b: j}):
                    yield (a, i, b, j)

    def pairs_of(self, a: int, b: int) -> int:
        """Return how many pairs of values of two axes some combination has."""
        first = {axis: {m: n for n, m in enumerate(self._masks[axis])} for axis in (a, b)}
        return sum(
            times * others
            for mask, times in self._alike[a].items()
            for other, others in self._alike[b].items()
            if self.possible({a: first[a][mask], b: first[b][other]})
        )

    def below(self, prefix: Combination) -> int:
        """Return the number of combinations that begin with these values."""
        alive = self._every
        for axis, value in enumerate(prefix):
            alive &= self._masks[axis][value]
            if alive & self._ended[axis]:
                return 0
        return self._below(len(prefix), alive)

    def _below(self, axis: int, alive: int) -> int:
        if not alive or axis == len(self.sizes):
            return prod(self.sizes[axis:])
        if (known := self._counts.get((axis, alive))) is None:
            self._spend(len(self._alike[axis]))
            known = sum(
                times * self._below(axis + 1, alive & mask)
                for mask, times in self._alike[axis].items()
                if not alive & mask & self._ended[axis]
            )
            self._counts[axis, alive] = known
        return known

    def _walk(self, prefix: Combination, alive: int) -> Iterator[Combination]:
        axis = len(prefix)
        if axis == len(self.sizes):
            yield prefix
            return
        for value, mask in enumerate(self._masks[axis]):
            left = alive & mask
            if not left & self._ended[axis] and self._below(axis + 1, left):
                yield from self._walk((*prefix, value), left)

    def _possible(self, axis: int, alive: int, chosen: Mapping[int, int]) -> bool:
        if not alive or axis == len(self.sizes):
            return True
        here = [self._masks[axis][chosen[axis]]] if axis in chosen else self._alike[axis]
        self._spend(len(here))
        return any(
            not alive & mask & self._ended[axis] and self._possible(axis + 1, alive & mask, chosen)
            for mask in here
        )

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise BriefError("exclude", "is too long a list to be planned; exclude whole values")
