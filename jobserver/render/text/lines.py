"""Break a text into lines that fit a width, and lines into runs of one font and one direction."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from jobserver.render.text.bidi import base_level, levels, visual_order
from jobserver.render.text.fonts import Font, Fonts, clusters

# Scripts that are written without spaces: a line may end between any two of their characters.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Neither begins a line in them (full stops, closing brackets, small kana), nor ends one.
_NOT_FIRST = re.compile(r"[\u3001\u3002\uff0c\uff0e\uff01\uff1f\uff1a\uff1b\u300d\u300f\uff09"
                        r"\u3011\u30fc\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087"
                        r"\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7]")  # fmt: skip
_NOT_LAST = re.compile(r"[\u300c\u300e\uff08\u3010]")


@dataclass(frozen=True)
class Run:
    """Characters of one font and one direction. rtl: whether they are read from right to left."""

    text: str
    font: Font
    rtl: bool


Line = tuple[Run, ...]  # from left to right
Measure = Callable[[Run], float]  # width in pixels


def lines(text: str, fonts: Fonts, width: float, measure: Measure) -> list[Line]:
    """Break a text so that no line is wider, between words where that is possible.

    A single character that is wider stands alone. Ends of lines in the text are kept. Raises
    MissingGlyph.
    """
    text = unicodedata.normalize("NFC", text).strip()
    found: list[Line] = []
    for paragraph in re.split(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]", text):
        found += _Paragraph(" ".join(paragraph.split(" ")), fonts).broken(width, measure)
    return found


class _Paragraph:
    """A text without ends of lines, with the font and the level of each character."""

    def __init__(self, text: str, fonts: Fonts) -> None:
        self.text = text.replace("\t", " ")
        self.base = base_level(self.text)
        self.levels = levels(self.text, self.base)
        self.clusters = clusters(self.text)
        self.fonts: list[Font] = []
        for cluster in self.clusters:
            last = self.fonts[-1] if self.fonts else None
            self.fonts += [fonts.font_of(cluster, last)] * len(cluster)

    def broken(self, width: float, measure: Measure) -> Iterator[Line]:
        """Yield the lines, each as long as the width allows."""

        def fits(start: int, end: int) -> bool:
            return sum(map(measure, self._runs(start, end))) <= width

        start, words, pieces = 0, self._word_ends(), self._cluster_ends()
        if not self.text:
            yield ()
        while start < len(self.text):
            end = _furthest(start, words, fits) or _furthest(start, pieces, fits)
            end = end or next(place for place in pieces if place > start)
            yield tuple(self._runs(start, end))
            start = end + len(self.text[end:]) - len(self.text[end:].lstrip(" "))

    def _runs(self, start: int, end: int) -> list[Run]:
        """Return the runs of a part of the text from left to right, without spaces at its end."""
        end = start + len(self.text[start:end].rstrip(" "))
        places = groupby(range(start, end), lambda n: (self.levels[n], self.fonts[n].path))
        parts = [list(group) for _, group in places]
        found = [
            Run(
                self.text[part[0] : part[-1] + 1],
                self.fonts[part[0]],
                self.levels[part[0]] % 2 == 1,
            )
            for part in parts
        ]
        return [found[n] for n in visual_order([self.levels[part[0]] for part in parts])]

    def _cluster_ends(self) -> list[int]:
        ends, place = [], 0
        for cluster in self.clusters:
            place += len(cluster)
            ends.append(place)
        return ends

    def _word_ends(self) -> list[int]:
        """Return where a line may end: after spaces and hyphens, between ideographs, at the end."""
        text = self.text
        return [
            n for n in self._cluster_ends() if n == len(text) or _may_break(text[n - 1], text[n])
        ]


def _may_break(before: str, after: str) -> bool:
    if before == " ":
        return after != " "
    if before in "-\u2010\u200b":
        return after not in " \u200b" and not after.isdigit()
    unspaced = _UNSPACED.match(before) or _UNSPACED.match(after)
    return bool(unspaced and after != " ") and not (
        _NOT_FIRST.match(after) or _NOT_LAST.match(before)
    )


def _furthest(start: int, ends: Sequence[int], fits: Callable[[int, int], bool]) -> int | None:
    """Return the last of the places at which a line that begins at `start` still fits."""
    first = low = bisect_right(ends, start)
    step = 1
    while low + step < len(ends) and fits(start, ends[low + step]):  # a line is short, a text long
        low, step = low + step, 2 * step
    place = bisect_left(
        ends, True, low, min(len(ends), low + step + 1), key=lambda end: not fits(start, end)
    )
    return ends[place - 1] if place > first else None
