"""The lines of a text by their hashes: how many say the same, and how many of the last part stand before it too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nyx.text.numbers import Ids

BLOCK = 1 << 18  # characters looked at together
SHORT = 512  # bytes; a longer line is hashed alone
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 by the golden ratio (Knuth's multiplicative hashing)
_TOP = np.uint64(0xFFFF << 48)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # of the first n bytes of a word


def line_blocks(ids: Ids, newline: int | None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
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


class _Bytes:
    """The bytes of ids (N,), as words of eight from any byte on; those near the lines at hand are kept."""

    def __init__(self, ids: Ids) -> None:
        self.width, self._ids = ids.dtype.itemsize, ids
        self.keep(0, 0)

    def keep(self, start: int, end: int) -> None:
        """Have the ids start..end-1 at hand."""
        data = np.concatenate([np.ascontiguousarray(self._ids[start:end]).view(np.uint8), np.zeros(8, np.uint8)])
        self._first, self._last = start * self.width, end * self.width
        self._words = np.ndarray((len(data) - 7,), "<u8", data.data, strides=(1,))

    def words(self, at: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The bytes from each of `at` on, the first `count` of them (all 8 at most), the others 0. Those that begin
        before what is at hand are read one by one."""
        words = self._words[np.maximum(at - self._first, 0)]
        for row in np.flatnonzero(at < self._first).tolist():
            place, rest = divmod(int(at[row]), self.width)
            near = np.ascontiguousarray(self._ids[place : place + 8 + rest]).tobytes()
            words[row] = int.from_bytes(near[rest : rest + 8], "little")
        return words & _MASKS[np.minimum(count, 8)]

    def digest(self, start: int, end: int) -> int:
        """The hash of a long line."""
        digest = hashlib.blake2b(digest_size=8)
        for at in range(start // self.width, end // self.width, BLOCK):
            digest.update(np.ascontiguousarray(self._ids[at : min(at + BLOCK, end // self.width)]).view(np.uint8).data)
        return int.from_bytes(digest.digest(), "little")


def _probes(data: _Bytes, at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(M,) of the length and four words of each line, the first to the last in even distances: all of it up to 32
    bytes, and of longer ones enough to choose a sample by."""
    back = np.maximum(lengths - 8, 0)
    hashes = lengths.astype(np.uint64) * _FACTOR
    for part in range(4):
        hashes = _mixed(hashes, data.words(at + back * part // 3, lengths))
    return hashes * _FACTOR


def _hashes(data: _Bytes, at: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(M,) of all bytes of each line: word after word, all lines together; a long line alone."""
    order = np.argsort(-lengths, kind="stable")
    at, left = at[order], lengths[order]
    long = int(np.count_nonzero(left > SHORT))
    hashes = left.astype(np.uint64) * _FACTOR
    for row in range(long):
        hashes[row] = data.digest(int(at[row]), int(at[row] + left[row]))
    at, left, short = at[long:], left[long:], hashes[long:]
    while len(at):  # the lines that have more words are always the first ones
        short[: len(at)] = _mixed(short[: len(at)], data.words(at, left))
        more = int(np.count_nonzero(left > 8))
        at, left = at[:more] + 8, left[:more] - 8
    out = np.empty_like(hashes)
    out[order] = hashes * _FACTOR
    return out


def _mixed(hashes: NDArray[np.uint64], words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    hashes = (hashes ^ words) * _FACTOR
    return hashes ^ (hashes >> np.uint64(29))


class LineSample:
    """Different lines of the two parts of a text, by 64-bit hashes: all of them, or 1 in `one_in` when there are more
    than `most`. Lines that begin at `cut` or later are of the second part.

    The first 16 bits of a hash are those of the line's probe, and choose the sample: other lines need no hash.
    """

    def __init__(self, ids: Ids, cut: int, most: int) -> None:
        self.one_in, self.val_lines = 1, 0
        self._data, self._cut, self._most = _Bytes(ids), cut, most
        self._lines, self._val_characters = 0, 0
        self._first = np.empty(0, np.uint64)
        self._second = np.empty(0, np.uint64)
        self._times = np.empty(
            (2, 0), np.int64
        )  # how often each of the second part occurs, and with how many characters
        self._new: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]] = []
        self._waiting = 0

    def add(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Some lines; empty ones are left out."""
        real = ends > starts
        starts, ends = starts[real], ends[real]
        if not len(starts):
            return
        self._data.keep(max(int(starts[0]), int(ends[-1]) - 2 * BLOCK), int(ends[-1]))  # a first line may be a long one
        lengths, second, width = ends - starts, starts >= self._cut, self._data.width
        self._lines += len(starts)
        self.val_lines += int(second.sum())
        self._val_characters += int(lengths[second].sum())
        probes = _probes(self._data, starts * width, lengths * width)
        kept = self._sampled(probes)
        hashes = _hashes(self._data, starts[kept] * width, lengths[kept] * width)
        hashes = (probes[kept] & _TOP) | (hashes >> np.uint64(16))
        self._new.append((hashes, lengths[kept], second[kept]))
        self._waiting += len(hashes)
        if self._waiting >= self._most // 2:
            self._merge()

    def result(self) -> tuple[int, float, float]:
        """(different lines, the share of the second part's lines that the first has too, and of its characters)."""
        self._merge()
        known = np.isin(self._second, self._first)
        different = min((len(self._first) + int((~known).sum())) * self.one_in, self._lines)
        lines, characters = self._times[:, ~known].sum(axis=1) * self.one_in
        return different, _share(self.val_lines, lines), _share(self._val_characters, characters)

    def _sampled(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return (hashes >> np.uint64(48)) < (1 << 16) // self.one_in

    def _merge(self) -> None:
        if not self._new:
            return
        hashes, lengths, second = (np.concatenate(parts) for parts in zip(*self._new, strict=True))
        self._new, self._waiting = [], 0
        self._first = _different(np.concatenate([self._first, hashes[~second]]))
        both = np.concatenate([self._second, hashes[second]])
        times = np.concatenate([self._times, [np.ones(int(second.sum()), np.int64), lengths[second]]], axis=1)
        self._second = _different(both)
        place = np.searchsorted(self._second, both)
        self._times = np.zeros((2, len(self._second)), np.int64)
        for row, each in zip(self._times, times, strict=True):
            np.add.at(row, place, each)
        while len(self._first) + len(self._second) > self._most and self.one_in < 1 << 16:
            self.one_in *= 2
            kept = self._sampled(self._second)
            self._first = self._first[self._sampled(self._first)]
            self._second, self._times = self._second[kept], self._times[:, kept]


def _different(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each once, in order."""
    hashes = np.sort(hashes)
    return hashes[np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))] if len(hashes) else hashes


def _share(total: int, without: int) -> float:
    return max(0.0, 1 - float(without) / total) if total else 0.0
