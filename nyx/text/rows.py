"""Which characters stand in which row of a batch: four ways to lay out an epoch.

Each has `count` rows in an epoch, `targets` in all of them, and `pieces(rows, word)`: what stands in the rows with the
numbers `rows` in an epoch whose random word is `word`.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError
from nyx.text.numbers import ranges
from nyx.text.permutation import Permutation
from nyx.text.sequences import Sequences

CHOICE = 2**64 - 1  # the number of the shuffle from whose front a stage takes its share; an epoch's is its own number

Ints = NDArray[np.int64]


class Pieces(NamedTuple):
    """(P,) each: inputs ids[start:end] and targets ids[start+1:end+1] stand in row `row` from place `offset` on."""

    row: Ints
    offset: Ints
    start: Ints
    end: Ints


class Rows(Protocol):
    """The layout of an epoch."""

    count: int
    targets: int

    def pieces(self, rows: Ints, word: int) -> Pieces:
        """What stands in these rows; `row` of the pieces counts from 0 in the order of `rows`."""
        ...


def lay_out(part: Sequences, seq_len: int, seed: int, *, share: float = 1.0, most: int | None = None,
            chunk: int | None = None, pack: bool = False) -> Rows:  # fmt: skip
    """The rows of a training: a share of the part, `most` windows or examples at most, from the front of one shuffle.

    Raises DataError (65) for a stream shorter than a window, or sequences without a target.
    """
    if len(part) == 1:
        check_length("text", part.characters, seq_len)
        sliding = Sliding(part, seq_len)
        if share >= 1 and (most is None or most >= sliding.count):
            return sliding
        return Chunks(part, seq_len, seed, share, most, max(chunk or seq_len, seq_len))
    if not part.targets:
        raise DataError("there is no example with two characters or more to train on: give more text, or other "
                        "data.match, data.min_chars or data.max_chars")  # fmt: skip
    chosen = max(1, round(share * len(part)))
    order = Permutation(len(part), seed, CHOICE)(np.arange(min(chosen, most or chosen)))
    windows = InOrder(Sequences(part.ids, part.starts[order], part.ends[order]), seq_len)
    return Packed(windows, seq_len) if pack else windows


class Sliding:
    """Windows of T characters over a stream, the first one shorter, so that the cuts lie elsewhere in each epoch.

    Its length is drawn from those that give the same number of windows, so that all epochs have the same number.
    """

    def __init__(self, part: Sequences, seq_len: int) -> None:
        self.start, self.end = int(part.starts[0]), int(part.ends[0]) - 1
        self.seq_len, self.targets = seq_len, part.targets
        self.count, self._first_lengths = _window_counts(self.targets, seq_len)

    def pieces(self, rows: Ints, word: int) -> Pieces:
        first = self._first_lengths[word % len(self._first_lengths)]
        ends = self.start + first + rows * self.seq_len
        starts = np.maximum(ends - self.seq_len, self.start)
        return _whole_rows(starts, np.minimum(ends, self.end))


def _window_counts(targets: int, seq_len: int) -> tuple[int, range]:
    """(windows in an epoch, the possible lengths of the first one), for N-1 = q T + r targets.

    A first window of f in 1..T characters leaves ceil((q T + r - f) / T) more: q + 2 windows in all for f < r, else
    q + 1, and q where r = 0 and f = T. The longest run of lengths with one count is taken: at least half of them.
    """
    q, r = divmod(targets, seq_len)
    if r - 1 > seq_len - r:
        return q + 2, range(1, r)
    if r or seq_len == 1:
        return q + bool(r), range(max(r, 1), seq_len + 1)
    return q + 1, range(1, seq_len)


class Chunks:
    """A share of a stream: the front of a shuffle of its chunks, each cut into windows of T characters.

    Whatever T is, what is chosen is the front of one order of all targets, so that a larger share contains a smaller
    one. What is left after the last whole chunk comes last in that order.
    """

    def __init__(self, part: Sequences, seq_len: int, seed: int, share: float, most: int | None, chunk: int) -> None:
        self.start, self.seq_len, self.chunk = int(part.starts[0]), seq_len, chunk
        self.end = self.start + part.targets
        self.full, tail = divmod(part.targets, chunk)
        self.per_chunk = -(-chunk // seq_len)
        self._order = Permutation(max(self.full, 1), seed, CHOICE)
        chosen = max(1, math.ceil(share * part.targets / chunk - 1e-9))
        count = min(chosen, self.full) * self.per_chunk + (chosen > self.full) * -(-tail // seq_len)
        self.count = min(count, most or count)
        whole = min(self.count // self.per_chunk, self.full)
        more = (self.count - whole * self.per_chunk) * seq_len
        self.targets = whole * chunk + min(more, chunk if whole < self.full else tail)

    def pieces(self, rows: Ints, word: int) -> Pieces:
        number, window = np.divmod(rows, self.per_chunk)
        place = np.where(number < self.full, self._order(np.minimum(number, max(self.full - 1, 0))), self.full)
        begin = self.start + place * self.chunk
        starts = begin + window * self.seq_len
        return _whole_rows(starts, np.minimum(np.minimum(starts + self.seq_len, begin + self.chunk), self.end))


class InOrder:
    """Each sequence cut into windows of T characters, one a row, in the order of the sequences."""

    def __init__(self, part: Sequences, seq_len: int) -> None:
        self.starts, self.ends, self.seq_len = part.starts, np.maximum(part.ends - 1, part.starts), seq_len
        self.before = np.concatenate([[0], np.cumsum(-(-(self.ends - self.starts) // seq_len))])
        self.count, self.targets = int(self.before[-1]), part.targets

    def pieces(self, rows: Ints, word: int) -> Pieces:
        sequence = np.searchsorted(self.before, rows, side="right") - 1
        starts = self.starts[sequence] + (rows - self.before[sequence]) * self.seq_len
        return _whole_rows(starts, np.minimum(starts + self.seq_len, self.ends[sequence]))


class Packed:
    """The windows of `windows`, several in a row where they fit whole: each, in order, into the row with the least
    room that it fits into (best fit), or else into a new one."""

    def __init__(self, windows: InOrder, seq_len: int) -> None:
        _, _, start, end = windows.pieces(np.arange(windows.count), 0)
        self.targets = windows.targets
        row, offset, self.count = _best_fit((end - start).tolist(), seq_len)
        order = np.argsort(row, kind="stable")
        self.offset, self.start, self.end = offset[order], start[order], end[order]
        self.first = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=self.count))])  # pieces before a row

    def pieces(self, rows: Ints, word: int) -> Pieces:
        numbers = self.first[rows + 1] - self.first[rows]
        row = np.repeat(np.arange(len(rows)), numbers)
        piece = ranges(self.first[rows], numbers)
        return Pieces(row, self.offset[piece], self.start[piece], self.end[piece])


def _best_fit(lengths: list[int], room: int) -> tuple[Ints, Ints, int]:
    """(row of each piece, its place there, rows). Open rows lie on one stack for each number of free places; a bit of
    `free` says which stacks are not empty."""
    rows, offsets = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    stacks: list[list[int]] = [[] for _ in range(room)]
    free = count = 0
    for i, length in enumerate(lengths):
        fitting = free >> length
        if fitting:
            left = length + (fitting & -fitting).bit_length() - 1
            row = stacks[left].pop()
            free ^= (not stacks[left]) << left
        else:
            left, row, count = room, count, count + 1
        rows[i], offsets[i] = row, room - left
        left -= length
        if left:
            stacks[left].append(row)
            free |= 1 << left
    return rows, offsets, count


def check_length(what: str, characters: int, seq_len: int) -> None:
    """Raises DataError (65) for a stream without a whole window."""
    if characters < seq_len + 1:
        raise DataError(f"the {what} has {characters} characters, a window of {seq_len} needs {seq_len + 1}: "
                        "give more text or set a smaller train.seq_len")  # fmt: skip


def _whole_rows(starts: Ints, ends: Ints) -> Pieces:
    return Pieces(np.arange(len(starts)), np.zeros(len(starts), np.int64), starts, ends)
