"""One filter graph for many outputs of one source. Pure: makes text, starts nothing.

A chain is a list of steps; chains that begin alike share those steps, so that e.g. five headlines
over the same picture scale it once.
"""

from collections.abc import Iterator, Sequence
from itertools import count

Chain = Sequence[str]


def graph(source: str, chains: Sequence[Chain]) -> str:
    """Return the graph that leads from a source to the outputs [v0], [v1], ... of the chains.

    source: an input pad without brackets, e.g. `0:1`. A step is a filter with its options, or a
    piece of graph in which `{a}` stands for the pad it begins at, `{b}` for the one it ends at,
    and `{n}` for a number of its own.
    """
    return ";".join(_statements(source, list(enumerate(chains)), count()))


def _statements(
    pad: str, members: Sequence[tuple[int, Chain]], numbers: Iterator[int]
) -> Iterator[str]:
    """Yield what leads from a pad to the outputs of these chains. members: number, rest."""
    branches: dict[str, list[tuple[int, Chain]]] = {}
    for number, chain in members:
        step = chain[0] if chain else f"[{{a}}]null[v{number}]"
        branches.setdefault(step, []).append((number, chain[1:]))
    pads = [pad]
    if len(branches) > 1:
        pads = [f"p{next(numbers)}" for _ in branches]
        yield f"[{pad}]split={len(pads)}" + "".join(f"[{name}]" for name in pads)
    for start, (step, rest) in zip(pads, branches.items(), strict=True):
        end, number = f"p{next(numbers)}", next(numbers)
        yield _statement(step, start, end, number=number)
        if "{b}" in step or "{a}" not in step:
            yield from _statements(end, rest, numbers)


def _statement(step: str, start: str, end: str, *, number: int) -> str:
    if "{a}" not in step:
        return f"[{start}]{step}[{end}]"
    return step.replace("{a}", start).replace("{b}", end).replace("{n}", str(number))
