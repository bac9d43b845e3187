"""Records of labelled lines (English:, HLXL:, LC-R:, LC-T:, LC-B:): reading them, and making examples of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.config import DataConfig
from nyx.errors import ConfigError, DataError
from nyx.text.cache import Say, on_stderr
from nyx.text.corpus import Text
from nyx.text.examples import BLOCK, Spans, lines, symbol
from nyx.text.hlx import hlxl, lcb, lcr, lct
from nyx.text.hlx.notation import closed_after
from nyx.text.numbers import pieces, ranges

LABELS = ("English", "HLXL", "LC-R", "LC-T", "LC-B")
BRACKETS: tuple[Mapping[str, str], ...] = ({}, hlxl.BRACKETS, lcr.BRACKETS, lct.BRACKETS, lcb.BRACKETS)
"""By label, which marks open and which close them; a sentence has none."""
MOST_LINES = 1000  # of a value
PAIRS = 2**64 - 2  # number of the random words that pair lines


@dataclass(frozen=True, eq=False)
class Records:
    """K labelled lines of R records, in the order of the text.

    spans: the lines with their labels, without the newline at the end. label: (K,) int8, indices into LABELS.
    record: (K,) int64, the record of each line, 0..count-1.
    """

    spans: Spans
    label: NDArray[np.int8]
    record: NDArray[np.int64]
    count: int


def read_records(text: Text, say: Say = on_stderr) -> Records:
    """The records of a text. A value whose brackets are open at the end of its line goes on up to the line that closes
    them, unless an empty line, a label, a heading or a fence comes before it: then it ends with its line, and `say` is
    told how many do. A record ends at an empty line, at a label that it already has, and at a line without a label (a
    heading, a fence, a comment), which belongs to none."""
    every = lines(text)
    newline = symbol(text, "\n")
    ends = every.ends - (text.ids[every.ends - 1] == newline)
    label = _labels(text, Spans(every.starts, ends))
    labelled = np.flatnonzero(label >= 0)
    last = _last_lines(text, Spans(every.starts, ends), label, labelled, say)
    label = label[labelled]
    apart = labelled > np.concatenate([[-2], last[:-1]]) + 1  # another line is between this one and the one before
    record, seen, number = np.empty(len(labelled), np.int64), 0, -1
    for i, (kind, new) in enumerate(zip(label.tolist(), apart.tolist(), strict=True)):
        if new or number < 0 or seen >> kind & 1:
            number, seen = number + 1, 0
        seen |= 1 << kind
        record[i] = number
    return Records(Spans(every.starts[labelled], ends[last]), label, record, number + 1)


def _last_lines(text: Text, spans: Spans, label: NDArray[np.int8], labelled: NDArray[np.int64],
                say: Say) -> NDArray[np.int64]:  # fmt: skip
    """(K,) the line on which the value of each labelled line ends."""
    last, never, doubtful = labelled.copy(), [], np.zeros(len(labelled), np.bool_)
    for kind, brackets in enumerate(BRACKETS):
        rows = np.flatnonzero(label[labelled] == kind)
        doubtful[rows] = bool(brackets) and _may_be_open(text, spans.take(labelled[rows]), brackets)
    window = _Window(text)
    for row in np.flatnonzero(doubtful).tolist():
        line = int(labelled[row])
        until = min(int(labelled[row + 1]) if row + 1 < len(labelled) else len(spans), line + MOST_LINES)
        count = closed_after(_strings(window, spans, line, until), BRACKETS[label[line]])
        last[row] += (count or 1) - 1
        never += [] if count else [line + 1]
    if never:
        say(f"{len(never):,} values of labelled lines end with their line although a bracket or a string is open, the "
            f"first on line {never[0]:,}")  # fmt: skip
    return last


def _may_be_open(text: Text, spans: Spans, brackets: Mapping[str, str]) -> NDArray[np.bool_]:
    """(M,) False only where as many brackets outside of strings open as close, and each string ends."""
    weight = np.zeros(len(text.symbols), np.int8)
    for marks, value in ((brackets, 1), (brackets.values(), -1)):
        weight[[place for mark in marks if (place := symbol(text, mark)) >= 0]] = value
    quote, escape = symbol(text, '"'), symbol(text, "\\")
    lengths = spans.ends - spans.starts
    found = lengths > BLOCK
    lengths[found] = 1
    chunk = np.cumsum(lengths) // BLOCK
    for a, b in pairwise(np.flatnonzero(np.diff(chunk, prepend=-1, append=-2)).tolist()):
        ids = pieces(text.ids, spans.starts[a:b], lengths[a:b])
        first = np.cumsum(lengths[a:b]) - lengths[a:b]
        quotes = np.cumsum(ids == quote)
        quotes -= np.repeat(quotes[first], lengths[a:b])  # the first of a line is of its label
        open_ones = np.add.reduceat(weight[ids] * (quotes % 2 == 0), first, dtype=np.int64)
        odd = quotes[first + lengths[a:b] - 1] % 2
        found[a:b] |= (open_ones != 0) | (odd != 0) | np.logical_or.reduceat(ids == escape, first)
    return found


class _Window:
    """A text as str, decoded a block at a time."""

    def __init__(self, text: Text) -> None:
        self._text, self._start, self._block = text, 0, ""

    def string(self, start: int, stop: int) -> str:
        if not self._start <= start <= stop <= self._start + len(self._block):
            self._start, self._block = start, self._text.string(start, max(stop, start + BLOCK // 4))
        return self._block[start - self._start : stop - self._start]


def _strings(text: _Window, spans: Spans, line: int, until: int) -> Iterator[str]:
    """The lines from one on, up to one that is empty, or a heading or a fence."""
    for number in range(line, until):
        string = text.string(int(spans.starts[number]), int(spans.ends[number]))
        if number > line and (not string.strip() or string.startswith(("#", "```"))):
            return
        yield string


def _labels(text: Text, spans: Spans) -> NDArray[np.int8]:
    """(M,) the label that each line begins with, -1 for none."""
    found = np.full(len(spans), -1, np.int8)
    for number, name in enumerate(LABELS):
        pattern = [symbol(text, character) for character in name + ":"]
        left = np.flatnonzero(spans.ends - spans.starts >= len(pattern))
        for place, wanted in enumerate(pattern):
            left = left[text.ids[spans.starts[left] + place] == wanted]
        found[left] = number
    return found


def arrange(text: Text, records: Records, data: DataConfig, seed: int) -> tuple[Text, Spans, NDArray[np.int64]]:
    """The examples that data.fields and data.arrange ask for: a text of them, their spans, and the record of each.

    record: the kept lines as they stand and an empty line. line: each kept line with its newline. pair: two lines,
    source and target, and an empty line; a record of k kept lines, k >= 2, gives k pairs, the neighbours in a seeded
    cycle of its lines: each line is once a source and once a target, and any ordered pair is as likely as any other.
    Raises ConfigError (78) for a label that is none, DataError (65) when nothing is left.
    """
    kept = np.flatnonzero(np.isin(records.label, _chosen(data)))
    if not len(kept):
        names = ", ".join(f"{name}:" for name in data.fields or LABELS)
        raise DataError(f"no line of the text begins with {names}; give such lines, or another data.cut")
    record = records.record[kept]
    if data.arrange == "pair":
        order, target = _cycles(record, kept, seed)
        kept = np.stack([kept[order], kept[target]], 1).reshape(-1)
        record = record[order]
        example = np.repeat(np.arange(len(order)), 2)
    elif data.arrange == "line":
        example = np.arange(len(kept))
    else:
        record, example = np.unique(record, return_inverse=True)
    derived, spans = _copy(text, records.spans.take(kept), example, data.arrange != "line")
    return derived, spans, record


def _chosen(data: DataConfig) -> list[int]:
    names = data.fields or LABELS
    for name in names:
        if name not in LABELS:
            raise ConfigError(f"data.fields: {name!r} is no label: use some of {', '.join(LABELS)}")
    return [LABELS.index(name) for name in names]


def _cycles(
    record: NDArray[np.int64], number: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(source, target) lines of all pairs: the lines of each record in an order drawn from the seed and the lines'
    numbers in the text, each with the next, and the last with the first; records of one line are left out."""
    words = np.random.Philox(key=np.array([seed % 2**64, PAIRS], np.uint64)).random_raw(int(number[-1]) + 1)
    order = np.lexsort((words[number], record))
    first = np.flatnonzero(np.diff(record[order], prepend=-1))  # where each record begins
    last = np.append(first[1:], len(order)) - 1
    target = np.roll(order, -1)
    target[last] = order[first]
    several = order != target
    return order[several], target[several]


def _copy(text: Text, spans: Spans, example: NDArray[np.int64], blank: bool) -> tuple[Text, Spans]:
    """A text of these lines, each with a newline, and a second one after the last of an example if `blank`; the spans
    of the examples in it."""
    last = np.diff(example, append=-1) != 0
    lengths = spans.ends - spans.starts
    ends = np.cumsum(lengths + 1 + (last & blank))  # where each line ends with its newlines
    starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
    ids = np.full(int(ends[-1]) if len(ends) else 0, symbol(text, "\n"), text.ids.dtype)
    cuts = np.unique(np.searchsorted(ends, np.arange(0, len(ids) + BLOCK, BLOCK), "right"))  # about a block each
    for a, b in pairwise(cuts.tolist()):
        ids[ranges(starts[a:b], lengths[a:b])] = pieces(text.ids, spans.starts[a:b], lengths[a:b])
    until = ends[last]
    return _compact(text, ids), Spans(np.concatenate([[0], until[:-1]])[: len(until)], until)


def _compact(text: Text, ids: NDArray[Any]) -> Text:
    """A part of a text with those symbols alone that it has: others need not be in a vocabulary."""
    present = np.zeros(len(text.symbols), np.bool_)
    for first in range(0, len(ids), BLOCK):
        present[ids[first : first + BLOCK]] = True
    rank = (np.cumsum(present) - 1).astype(ids.dtype)
    for first in range(0, len(ids), BLOCK):
        ids[first : first + BLOCK] = rank[ids[first : first + BLOCK]]
    return replace(text, symbols=text.symbols[present], ids=ids)
