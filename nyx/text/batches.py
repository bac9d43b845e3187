"""Training and evaluation batches: windows over a part of a corpus, each batch a function of the seed and the step.

B rows, T characters. A window never crosses from one sequence into the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError
from nyx.text.numbers import Ids, pieces, ranges
from nyx.text.permutation import Permutation
from nyx.text.rows import InOrder, Pieces, lay_out
from nyx.text.sequences import Sequences

IGNORE = -1  # the target of a padded place: no loss, no gradient, not counted
AHEAD = 1 << 10  # rows
EPOCHS = 1 << 63  # numbers of the random words of the epochs: apart from those of their orders


class Batch(NamedTuple):
    """x: (B, T) int32 inputs, 0 where padded. y: (B, T) int32 targets, IGNORE where padded. count: targets >= 0."""

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    count: int


class Windows:
    """An endless sequence of training batches in which every epoch has each chosen target exactly once.

    A stream (one sequence, or ids (N,)) is cut into windows of T characters, the first one shorter so that the cuts lie
    elsewhere in each epoch. With a share below 1, or max_sequences windows at most, it is cut into chunks instead, and
    the front of one shuffle of them is trained on: `chunk` characters each, which must then be the same for all stages
    (the longest window of them), so that a larger share contains a smaller one whatever T is.
    Of several sequences the front of one shuffle is taken (share and max_sequences count sequences), one a row, padded;
    longer ones go on in another row. With `pack` a row holds several where they fit whole; a character may then attend
    to the earlier ones of its row.

    Each epoch has its own order of rows, computed row by row: memory does not grow with a stream's length. The rows are
    dealt evenly over the steps: at most B and at least one each, the remaining rows of a batch padded. Any step can be
    asked for in any order; batches depend on the seed and the step alone.

    batch_size: B, all rows of an optimizer step (micro-batches are slices of rows). Raises DataError (65) when a stream
    is shorter than T + 1 or there is no target.
    """

    def __init__(self, part: Sequences | Ids, seq_len: int, batch_size: int, seed: int, *, share: float = 1.0,
                 max_sequences: int | None = None, chunk: int | None = None, pack: bool = False) -> None:  # fmt: skip
        self.part, self.seq_len, self.batch_size, self.seed = Sequences.of(part), seq_len, batch_size, seed
        self._rows = lay_out(self.part, seq_len, seed, share=share, most=max_sequences, chunk=chunk, pack=pack)
        self.n_windows = self._rows.count
        """Rows in an epoch."""
        self.targets = self._rows.targets
        """Targets in an epoch."""
        self.steps_per_epoch = -(-self.n_windows // batch_size)
        self._epoch, self._word, self._order = -1, 0, Permutation(1, 0)
        self._ahead, self._first = np.empty(0, np.int64), 0  # rows of the epoch's order, and the place of the first

    def batch(self, step: int) -> Batch:
        """The batch of step 0, 1, 2, ..."""
        epoch, step = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            key = np.array([self.seed % 2**64, EPOCHS + epoch], np.uint64)
            self._word = int(np.random.Philox(key=key).random_raw())
            self._order = Permutation(self.n_windows, self.seed, epoch)
            self._epoch, self._ahead = epoch, self._ahead[:0]
        low = self.n_windows * step // self.steps_per_epoch
        high = self.n_windows * (step + 1) // self.steps_per_epoch
        pieces = self._rows.pieces(self._places(low, high), self._word)
        return _gather(self.part.ids, pieces, self.seq_len, self.batch_size)

    def _places(self, low: int, high: int) -> NDArray[np.int64]:
        """The rows at the places low..high-1 of the epoch's order, some computed ahead: that costs hardly more."""
        if not self._first <= low < high <= self._first + len(self._ahead):
            self._ahead = self._order(np.arange(low, min(max(high, low + AHEAD), self.n_windows)))
            self._first = low
        return self._ahead[low - self._first : high - self._first]


def evaluation_windows(
    part: Sequences | Ids, seq_len: int, batch_size: int, limit: int | None = None
) -> Iterator[Batch]:
    """Batches of B windows, in order, without overlap and never packed, in which each target is exactly once.

    The last window of a sequence and the last batch are padded. limit: targets at most, from the front. Raises
    DataError (65) when there is no target.
    """
    part = Sequences.of(part).first(limit)
    if not part.targets:
        raise DataError(f"the text to evaluate has {part.characters} characters: give at least 2")
    return _in_order(part, seq_len, batch_size)


def _in_order(part: Sequences, seq_len: int, batch_size: int) -> Iterator[Batch]:
    windows = InOrder(part, seq_len)
    for first in range(0, windows.count, batch_size):
        rows = np.arange(first, min(first + batch_size, windows.count))
        yield _gather(part.ids, windows.pieces(rows, 0), seq_len, batch_size)


def _gather(ids: Ids, found: Pieces, seq_len: int, batch_size: int) -> Batch:
    """The pieces in their rows, padded to (B, T). Only what they hold is read."""
    x = np.zeros(batch_size * seq_len, np.int32)
    y = np.full(batch_size * seq_len, IGNORE, np.int32)
    lengths = found.end - found.start
    read = pieces(ids, found.start, lengths + 1)  # with the last target of each
    source = ranges(np.cumsum(lengths + 1) - lengths - 1, lengths)
    place = ranges(found.row * seq_len + found.offset, lengths)
    x[place], y[place] = read[source], read[source + 1]
    return Batch(x.reshape(batch_size, seq_len), y.reshape(batch_size, seq_len), len(source))
