"""Training and evaluation batches: windows over a corpus, each batch a function of the seed and the step alone.

B rows, T characters. N characters have N-1 targets: character i+1 is the target of character i, and the first one, with
nothing before it, is no target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nyx.errors import DataError

IGNORE = -1  # the target of a padded place: no loss, no gradient, not counted


class Batch(NamedTuple):
    """x: (B, T) int32 inputs, 0 where padded. y: (B, T) int32 targets, IGNORE where padded. count: targets >= 0."""

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    count: int


def split(ids: NDArray[Any], val_fraction: float, seq_len: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(training part, validation part): the first int(N * (1 - val_fraction)) characters, and the rest; views.

    With val_fraction 0 the second is empty. Raises DataError (65) when a part is shorter than seq_len + 1.
    """
    cut = int(len(ids) * (1 - val_fraction))
    train, val = ids[:cut], ids[cut:]
    need = seq_len + 1
    _check_length("training part", train, seq_len)
    if val_fraction > 0 and len(val) < need:
        raise DataError(f"the validation part has {len(val)} characters (data.val_fraction = {val_fraction} of "
                        f"{len(ids)}), a window needs {need}: give more text, a larger data.val_fraction or a smaller "
                        "train.seq_len")  # fmt: skip
    return train, val


class Windows:
    """An endless sequence of training batches in which every epoch has each of the N-1 targets exactly once.

    An epoch cuts the text into windows of T characters, the first one shorter so that the cuts lie elsewhere each
    time, and shuffles them. The length of the first and the order come from Philox4x64 (Salmon et al., 2011) with the
    key (seed, epoch); the first length is drawn from those that give the same number of windows, so that every epoch
    has the same number of steps. The windows are dealt evenly over the steps: at most B and at least one each, the
    remaining rows of a batch and the end of a short window padded. Any step can be asked for in any order.

    ids: (N,) of any integer type, memory-mapped or not; only what a batch needs is read. batch_size: B, all rows of an
    optimizer step (micro-batches are slices of rows). Raises DataError (65) when N < T + 1.
    """

    def __init__(self, ids: NDArray[Any], seq_len: int, batch_size: int, seed: int) -> None:
        _check_length("text", ids, seq_len)
        self.ids, self.seq_len, self.batch_size, self.seed = ids, seq_len, batch_size, seed
        self.n_windows, self._first_lengths = _window_counts(len(ids) - 1, seq_len)
        self.steps_per_epoch = -(-self.n_windows // batch_size)
        self._epoch, self._first, self._order = -1, 0, np.empty(0, np.int64)

    def batch(self, step: int) -> Batch:
        """The batch of step 0, 1, 2, ..."""
        epoch, step = divmod(step, self.steps_per_epoch)
        self._shuffle(epoch)
        low = self.n_windows * step // self.steps_per_epoch
        high = self.n_windows * (step + 1) // self.steps_per_epoch
        ends = self._first + self._order[low:high] * self.seq_len
        starts = np.maximum(ends - self.seq_len, 0)
        return _gather(self.ids, starts, np.minimum(ends, len(self.ids) - 1), self.seq_len, self.batch_size)

    def _shuffle(self, epoch: int) -> None:
        """Draw the epoch's first window and order. Raw Philox words and a stable sort: the same on any NumPy."""
        if epoch == self._epoch:
            return
        key = np.array([self.seed % 2**64, epoch], np.uint64)
        words = np.random.Philox(key=key).random_raw(self.n_windows + 1)
        self._first = self._first_lengths[int(words[0]) % len(self._first_lengths)]
        self._order = np.argsort(words[1:], kind="stable")
        self._epoch = epoch


def evaluation_windows(ids: NDArray[Any], seq_len: int, batch_size: int) -> Iterator[Batch]:
    """Batches of B windows, in order and without overlap, in which each of the N-1 targets is there exactly once.

    The last window and the last batch are padded. Raises DataError (65) when N < 2.
    """
    if len(ids) < 2:
        raise DataError(f"the text to evaluate has {len(ids)} characters: give at least 2")
    return _in_order(ids, seq_len, batch_size)


def _in_order(ids: NDArray[Any], seq_len: int, batch_size: int) -> Iterator[Batch]:
    targets = len(ids) - 1
    for start in range(0, targets, seq_len * batch_size):
        starts = np.arange(start, min(start + seq_len * batch_size, targets), seq_len)
        yield _gather(ids, starts, np.minimum(starts + seq_len, targets), seq_len, batch_size)


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


def _gather(ids: NDArray[Any], starts: NDArray[np.int64], ends: NDArray[np.int64], seq_len: int,
            batch_size: int) -> Batch:  # fmt: skip
    """Rows of inputs ids[start:end] and targets ids[start+1:end+1], padded to (B, T)."""
    x = np.zeros((batch_size, seq_len), np.int32)
    y = np.full((batch_size, seq_len), IGNORE, np.int32)
    at = starts[:, None] + np.arange(seq_len)
    real = at < ends[:, None]
    rows = len(starts)
    x[:rows][real] = ids[at[real]]
    y[:rows][real] = ids[at[real] + 1]
    return Batch(x, y, int(real.sum()))


def _check_length(what: str, ids: NDArray[Any], seq_len: int) -> None:
    if len(ids) < seq_len + 1:
        raise DataError(f"the {what} has {len(ids)} characters, a window of {seq_len} needs {seq_len + 1}: "
                        "give more text or set a smaller train.seq_len")  # fmt: skip
