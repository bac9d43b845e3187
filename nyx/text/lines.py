"""The lines of a text by their hashes: how many say the same, and how many of the last part stand before it too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20  # characters looked at together
SHORT = 512  # bytes; a longer line is hashed alone
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 by the golden ratio (Knuth's multiplicative hashing)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # of the first n bytes of a word


def line_blocks(ids: NDArray[Any], newline: int | None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(starts, ends) of the lines of a text (N,), in order, those that end in one block together; the newline is not
    among them. Without a newline at its end the rest is a line too."""
    start = 0
    if newline is not None:
        for first in range(0, len(ids), BLOCK):
            ends = np.flatnonzero(ids[first : first + BLOCK] == newline) + first
            if len(ends):
                yield np.concatenate([[start], ends[:-1] + 1]), ends
                start = int(ends[-1]) + 1
    if start < len(ids):
        yield np.array([start]), np.array([len(ids)])


def line_hashes(ids: NDArray[Any], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(M,) 64-bit hashes of lines that are not empty and lie near each other, equal for equal lines."""
    width = ids.dtype.itemsize
    lengths = (ends - starts) * width
    hashes = np.empty(len(starts), np.uint64)
    short = lengths <= SHORT
    if short.any():
        base, stop = int(starts[short][0]), int(ends[short][-1])
        hashes[short] = _hash_short(ids[base:stop], (starts[short] - base) * width, lengths[short])
    for row in np.flatnonzero(~short):
        digest = hashlib.blake2b(digest_size=8)
        for at in range(int(starts[row]), int(ends[row]), BLOCK):
            digest.update(np.ascontiguousarray(ids[at : min(at + BLOCK, int(ends[row]))]).data)
        hashes[row] = int.from_bytes(digest.digest(), "little")
    return hashes


def _hash_short(ids: NDArray[Any], at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Of the bytes at[m] .. at[m] + lengths[m] of `ids`: word after word, all lines together."""
    size = ids.nbytes
    data = np.zeros(size + 8, np.uint8)
    data[:size] = np.ascontiguousarray(ids).view(np.uint8)
    words = np.ndarray((size + 1,), "<u8", data.data, strides=(1,))  # the word that begins at each byte
    order = np.argsort(-lengths, kind="stable")
    at, left = at[order], lengths[order]
    hashes = left.astype(np.uint64) * _FACTOR
    while len(at):  # the lines that have more words are always the first ones
        some = hashes[: len(at)]
        some ^= words[at] & _MASKS[np.minimum(left, 8)]
        some *= _FACTOR
        some ^= some >> np.uint64(29)
        going = int(np.count_nonzero(left > 8))
        at, left = at[:going] + 8, left[:going] - 8
    out = np.empty_like(hashes)
    out[order] = hashes * _FACTOR
    return out


class LineSample:
    """Different lines of the two parts of a text, by their hashes: all of them, or 1 in `one_in` when there are more
    than `most`. Lines that begin at `cut` or later are of the second part."""

    def __init__(self, most: int) -> None:
        self.one_in, self.val_lines = 1, 0
        self._most, self._lines, self._val_characters = most, 0, 0
        self._first = np.empty(0, np.uint64)
        self._second = np.empty(0, np.uint64)
        self._times = np.empty(
            (2, 0), np.int64
        )  # how often each of the second part occurs, and with how many characters
        self._new: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]] = []
        self._waiting = 0

    def add(self, ids: NDArray[Any], starts: NDArray[np.int64], ends: NDArray[np.int64], cut: int) -> None:
        """Lines of a block; empty ones are left out."""
        real = ends > starts
        starts, ends = starts[real], ends[real]
        second = starts >= cut
        lengths = ends - starts
        self._lines += len(starts)
        self.val_lines += int(second.sum())
        self._val_characters += int(lengths[second].sum())
        hashes = line_hashes(ids, starts, ends)
        kept = self._sampled(hashes)
        self._new.append((hashes[kept], lengths[kept], second[kept]))
        self._waiting += int(kept.sum())
        if self._waiting >= self._most:
            self._merge()

    def result(self) -> tuple[int, float, float]:
        """(different lines, the share of the second part's lines that the first has too, and of its characters)."""
        self._merge()
        known = np.isin(self._second, self._first)
        different = (len(self._first) + int((~known).sum())) * self.one_in
        if self.one_in > 1:
            different = min(different, self._lines)
        lines, characters = self._times[:, ~known].sum(axis=1) * self.one_in
        return different, _share(self.val_lines, lines), _share(self._val_characters, characters)

    def _sampled(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return hashes <= np.uint64((2**64 - 1) // self.one_in)

    def _merge(self) -> None:
        if not self._new:
            return
        hashes, lengths, second = (np.concatenate(parts) for parts in zip(*self._new, strict=True))
        self._new, self._waiting = [], 0
        self._first = np.union1d(self._first, hashes[~second])
        both = np.concatenate([self._second, hashes[second]])
        times = np.concatenate([self._times, [np.ones(int(second.sum()), np.int64), lengths[second]]], axis=1)
        self._second, place = np.unique(both, return_inverse=True)
        self._times = np.zeros((2, len(self._second)), np.int64)
        for row, each in zip(self._times, times, strict=True):
            np.add.at(row, place, each)
        while len(self._first) + len(self._second) > self._most:
            self.one_in *= 2
            kept = self._sampled(self._second)
            self._first = self._first[self._sampled(self._first)]
            self._second, self._times = self._second[kept], self._times[:, kept]


def _share(total: int, without: int) -> float:
    return max(0.0, 1 - float(without) / total) if total else 0.0
