"""Records of labelled lines (English:, HLXL:, LC-R:, LC-T:, LC-B:): reading them, and making examples of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.config import DataConfig
from nyx.errors import ConfigError, DataError
from nyx.text.corpus import Text
from nyx.text.examples import BLOCK, Spans, lines, symbol
from nyx.text.sequences import ranges

LABELS = ("English", "HLXL", "LC-R", "LC-T", "LC-B")
PAIRS = 2**64 - 2  # number of the random words that pair lines


@dataclass(frozen=True, eq=False)
class Records:
    """K labelled lines of R records, in the order of the text.

    spans: the lines with their labels, without newlines. label: (K,) int8, indices into LABELS. record: (K,) int64,
    the record of each line, 0..count-1.
    """

    spans: Spans
    label: NDArray[np.int8]
    record: NDArray[np.int64]
    count: int


def read_records(text: Text) -> Records:
    """The records of a text. A record ends at an empty line, at a label that it already has, and at a line without a
    label (a heading, a fence, a comment, the second line of a body), which belongs to none."""
    every = lines(text)
    newline = symbol(text, "\n")
    ends = every.ends - (text.ids[every.ends - 1] == newline)
    label = _labels(text, Spans(every.starts, ends))
    labelled = np.flatnonzero(label >= 0)
    label = label[labelled]
    apart = np.diff(labelled, prepend=-1) > 1  # another line is between this one and the one before
    record, seen, number = np.empty(len(labelled), np.int64), 0, -1
    for i, (kind, new) in enumerate(zip(label.tolist(), apart.tolist(), strict=True)):
        if new or number < 0 or seen >> kind & 1:
            number, seen = number + 1, 0
        seen |= 1 << kind
        record[i] = number
    return Records(Spans(every.starts[labelled], ends[labelled]), label, record, number + 1)


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
        ids[ranges(starts[a:b], lengths[a:b])] = text.ids[ranges(spans.starts[a:b], lengths[a:b])]
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
