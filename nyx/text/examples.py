"""Where a text's examples begin and end, and which of them are kept. All on indices: no example becomes a str."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.config import DataConfig
from nyx.text.corpus import Text
from nyx.text.numbers import Ids

BLOCK = 1 << 20  # characters looked at together


@dataclass(frozen=True, eq=False)
class Spans:
    """starts, ends: (M,) int64; each span is the characters start..end-1 of a text."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, which: NDArray[Any]) -> Spans:
        """The spans that a mask or an array of numbers chooses."""
        return Spans(self.starts[which], self.ends[which])


def symbol(text: Text, character: str) -> int:
    """The index of a character in the text's symbols, -1 when the text has none."""
    at = int(np.searchsorted(text.symbols, ord(character)))
    return at if at < len(text.symbols) and text.symbols[at] == ord(character) else -1


def lines(text: Text) -> Spans:
    """The lines, each with its newline; the last one may have none."""
    newline = symbol(text, "\n")
    return _between([first + np.flatnonzero(ids == newline) + 1 for first, ids in _blocks(text.ids)], len(text))


def blocks(text: Text) -> Spans:
    """The blocks: lines up to an empty one, with all newlines that end them. Newlines before the first are in none."""
    newline, ends, start = symbol(text, "\n"), [], _first_other(text.ids, symbol(text, "\n"))
    for first, ids in _blocks(text.ids):
        last = first + np.flatnonzero(ids == newline)  # newlines that come after one, and before something else
        last = last[(last > start) & (last + 1 < len(text))]
        last = last[(text.ids[last - 1] == newline) & (text.ids[last + 1] != newline)]
        ends.append(last + 1)
    return _between(ends, len(text), start)


def keep(text: Text, spans: Spans, data: DataConfig) -> NDArray[np.bool_]:
    """(M,) whether each example is kept: it has a target, from min_chars to max_chars characters (its newlines are
    counted), and `match` is found in it."""
    lengths = spans.ends - spans.starts
    kept = lengths >= max(2, data.min_chars)
    if data.max_chars is not None:
        kept &= lengths <= data.max_chars
    if data.match is not None:
        pattern = re.compile(data.match)
        numbers = np.flatnonzero(kept)
        found = (pattern.search(example) is not None for example in strings(text, spans.take(numbers)))
        kept[numbers] = np.fromiter(found, np.bool_, len(numbers))
    return kept


def strings(text: Text, spans: Spans) -> Iterator[str]:
    """The examples as str, one after the other; the spans must be in ascending order. Decodes block by block."""
    first = 0
    while first < len(spans):
        start = int(spans.starts[first])
        last = max(first + 1, int(np.searchsorted(spans.ends, start + BLOCK)))
        block = text.string(start, int(spans.ends[last - 1]))
        for a, b in zip((spans.starts[first:last] - start).tolist(), (spans.ends[first:last] - start).tolist(),
                        strict=True):  # fmt: skip
            yield block[a:b]
        first = last


def _between(ends: list[NDArray[np.int64]], length: int, start: int = 0) -> Spans:
    """The spans from `start` on with these ends, and one more up to `length`."""
    cuts = np.concatenate([[start], *ends, [length]]).astype(np.int64)
    some = cuts[1:] > cuts[:-1]
    return Spans(cuts[:-1][some], cuts[1:][some])


def _first_other(ids: Ids, newline: int) -> int:
    """The index of the first symbol that is no newline."""
    for first, block in _blocks(ids):
        others = block != newline
        if others.any():
            return first + int(np.argmax(others))
    return len(ids)


def _blocks(ids: Ids) -> Iterator[tuple[int, NDArray[Any]]]:
    for first in range(0, len(ids), BLOCK):
        yield first, ids[first : first + BLOCK]
