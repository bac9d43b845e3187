"""Which examples are held out for validation: the last ones, or ones drawn by the seed with all that say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nyx.text.corpus import Text
from nyx.text.examples import BLOCK, Spans, symbol
from nyx.text.permutation import Permutation
from nyx.text.records import Records

SPLIT = 2**64 - 3  # the number of the shuffle in whose order groups are held out
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_WORD = 1 << 64


def hold_out_last(count: int, fraction: float) -> NDArray[np.bool_]:
    """(count,) True for all but the first int(count * (1 - fraction)) examples."""
    return np.arange(count) >= int(count * (1 - fraction))


def hold_out_groups(group: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """(M,) True for the examples of the groups that are held out: in a seeded order of the groups, each that still fits
    into the wanted number of examples."""
    sizes = np.bincount(group)
    wanted = max(1, round(len(group) * fraction)) if fraction else 0
    left = Permutation(len(sizes), seed, SPLIT)(np.arange(len(sizes)))
    held = np.zeros(len(sizes), np.bool_)
    while wanted and len(left := left[sizes[left] <= wanted]):
        fitting = np.cumsum(sizes[left]) <= wanted  # True up to the first that does not fit
        held[left[fitting]] = True
        wanted -= int(sizes[left[fitting]].sum())
        left = left[~fitting]
    return held[group]


def equal_examples(text: Text, spans: Spans) -> NDArray[np.int64]:
    """(M,) the group of each example: the same number for the same text, apart from newlines and spaces at its end."""
    return _numbered(_fingerprints(text, spans))


def related_records(text: Text, records: Records) -> NDArray[np.int64]:
    """(R,) the group of each record: the same number for records that share a line, or share one with others that do,
    and so on. Hooking and pointer jumping (Shiloach and Vishkin, 1982) find the groups."""
    line = _numbered(_fingerprints(text, records.spans))
    parent = np.arange(records.count)
    while True:
        lowest = np.full(int(line.max(initial=0)) + 1, records.count)
        np.minimum.at(lowest, line, parent[records.record])
        hooked = parent.copy()
        np.minimum.at(hooked, parent[records.record], lowest[line])
        while (hooked[hooked] != hooked).any():
            hooked = hooked[hooked]
        if np.array_equal(hooked, parent):
            return _numbered(parent)
        parent = hooked


def _numbered(marks: NDArray[Any]) -> NDArray[np.int64]:
    """(M,) the number of each mark, in the order in which they first occur."""
    _, first, mark = np.unique(marks, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[mark]


def _fingerprints(text: Text, spans: Spans) -> NDArray[np.uint64]:
    """(M,) a hash of each span without the newlines and spaces at its end. Equal texts have equal hashes; that others
    have, too, at about one pair in 2**64, costs no more than a group larger than it need be.

    With r a random word for each symbol and p odd, sum of r[id_k] p^(k - start) modulo 2**64 (Karp and Rabin, 1987),
    from sums over the whole text at the spans' ends: a span of any length costs the same.
    """
    ends = _trimmed(text, spans)
    powers = np.full(BLOCK, _BASE, np.uint64)
    powers[0] = 1
    powers = np.cumprod(powers, dtype=np.uint64)
    at_start, at_end = _sums(text, [spans.starts, ends], powers)
    inverse = pow(_BASE, -1, _WORD)
    low = np.full(BLOCK, inverse, np.uint64)
    low[0] = 1
    low = np.cumprod(low, dtype=np.uint64)
    step = pow(inverse, BLOCK, _WORD)
    high = np.array([pow(step, n, _WORD) for n in range(len(text) // BLOCK + 1)], np.uint64)
    return (at_end - at_start) * low[spans.starts % BLOCK] * high[spans.starts // BLOCK]


def _sums(text: Text, places: list[NDArray[np.int64]], powers: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
    """For each place (in ascending order), the sum of r[id_k] p^k over all k before it."""
    words = np.random.Philox(key=np.array([0, SPLIT], np.uint64)).random_raw(len(text.symbols)).astype(np.uint64)
    found = [np.zeros(len(p), np.uint64) for p in places]
    total, power = 0, 1
    for first in range(0, len(text), BLOCK):
        ids = text.ids[first : first + BLOCK]
        sums = np.cumsum(words[ids] * powers[: len(ids)], dtype=np.uint64) * np.uint64(power) + np.uint64(total)
        for place, out in zip(places, found, strict=True):
            some = slice(*np.searchsorted(place, [first + 1, first + len(ids) + 1]))
            out[some] = sums[place[some] - first - 1]
        total, power = int(sums[-1]), power * pow(_BASE, len(ids), _WORD) % _WORD
    return found


def _trimmed(text: Text, spans: Spans) -> NDArray[np.int64]:
    """The ends of the spans without newlines and spaces there, 64 at most."""
    blanks = [symbol(text, "\n"), symbol(text, " ")]
    ends, some = spans.ends.copy(), np.arange(len(spans))
    for _ in range(64):
        some = some[ends[some] > spans.starts[some]]
        some = some[np.isin(text.ids[ends[some] - 1], blanks)]
        if not len(some):
            break
        ends[some] -= 1
    return ends
