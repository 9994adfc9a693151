"""What a benchmark yields, and the table that `make bench` prints.

A row compares ours with something beside it, measured in turns: a floor, which is the least
that the work can cost, or a peer, which is what somebody would use instead. Its ratio is the
median of the rounds' ratios, with the least and the greatest of them; a goal judges the median.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio of a row."""

    bound: float
    at_most: bool

    def is_met(self, ratio: float) -> bool:
        """Return whether a median ratio keeps it."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound

    def __str__(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {self.bound:g}"


def at_most(bound: float) -> Goal:
    """Return the goal of a cost."""
    return Goal(bound, at_most=True)


def at_least(bound: float) -> Goal:
    """Return the goal of a speed."""
    return Goal(bound, at_most=False)


@dataclass(frozen=True)
class Row:
    """What was measured, in which unit, ours and what stands beside it, one value a round."""

    what: str
    unit: str
    ours: Sequence[float]
    beside: Sequence[float]
    beside_what: str
    goal: Goal | None = None

    @property
    def ratios(self) -> list[float]:
        """Return ours over the other, round by round."""
        return [mine / other for mine, other in zip(self.ours, self.beside, strict=True)]

    @property
    def verdict(self) -> str:
        """Return `met`, `missed`, or nothing without a goal."""
        if self.goal is None:
            return ""
        return "met" if self.goal.is_met(statistics.median(self.ratios)) else "missed"

    def cells(self) -> list[str]:
        """Return the cells of its line in the table."""
        ratios = self.ratios
        return [
            f"{self.what}, {self.unit}",
            f"{statistics.median(self.ours):.3g}",
            f"{statistics.median(self.beside):.3g} ({self.beside_what})",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            "" if self.goal is None else str(self.goal),
            self.verdict,
        ]


HEADINGS = ["what, unit", "ours", "beside it", "ratio (least to greatest)", "goal", ""]


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table, aligned for people who read it as it is."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))} |"
        for line in lines
    )


def in_turns(*measures: Callable[[], float], rounds: int = ROUNDS) -> Iterator[list[float]]:
    """Measure one after the other, `rounds` times; return the values of each, round by round.

    Every other round goes backwards, so that what grows with time favours neither side.
    """
    values: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        pairs = list(zip(measures, values, strict=True))
        for measure, found in pairs if number % 2 == 0 else reversed(pairs):
            found.append(measure())
    return iter(values)
