"""Batches: every target once per epoch, any step alone gives the same batch, padding is never a target."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.errors import DataError
from nyx.text.batches import IGNORE, Batch, Windows, evaluation_windows
from nyx.text.prepare import split

sizes = st.tuples(st.integers(1, 20), st.integers(1, 12), st.integers(1, 90), st.integers(0, 2**64 - 1)).map(
    lambda s: (s[0], s[1], s[0] + s[2], s[3])
)  # seq_len, batch_size, N >= seq_len + 1, seed


def targets(batch: Batch, seq_len: int, batch_size: int) -> list[int]:
    """The target places of a batch over ids 0, 1, 2, ...: checks what holds for any batch."""
    x, y, count = batch
    assert x.shape == y.shape == (batch_size, seq_len)
    assert x.dtype == y.dtype == np.int32
    real = y != IGNORE
    assert (y[real] == x[real] + 1).all()
    assert (x[~real] == 0).all()
    assert count == real.sum() >= 1
    for row, mask in zip(y, real, strict=True):
        assert (np.sort(mask)[::-1] == mask).all()  # what is real stands first, so no padding comes before it
        assert (np.diff(row[mask]) == 1).all()
    return y[real].tolist()


@given(sizes=sizes, epoch=st.integers(0, 3))
def test_every_target_is_there_once_an_epoch(sizes: tuple[int, int, int, int], epoch: int) -> None:
    seq_len, batch_size, n, seed = sizes
    windows = Windows(np.arange(n), seq_len, batch_size, seed)
    seen = Counter[int]()
    for step in range(windows.steps_per_epoch):
        seen.update(targets(windows.batch(epoch * windows.steps_per_epoch + step), seq_len, batch_size))
    assert seen == Counter(range(1, n))
    assert windows.n_windows <= (n - 1) // seq_len + 2
    assert windows.steps_per_epoch == -(-windows.n_windows // batch_size)


@given(sizes=sizes, steps=st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_a_batch_depends_on_seed_and_step_alone(sizes: tuple[int, int, int, int], steps: list[int]) -> None:
    seq_len, batch_size, n, seed = sizes
    used = Windows(np.arange(n), seq_len, batch_size, seed)
    for step in steps:
        x, y, count = used.batch(step)
        fresh = Windows(np.arange(n, dtype=np.uint16), seq_len, batch_size, seed).batch(step)
        assert np.array_equal(x, fresh.x)
        assert np.array_equal(y, fresh.y)
        assert count == fresh.count


@given(sizes=sizes)
def test_evaluation_has_every_target_once_in_order(sizes: tuple[int, int, int, int]) -> None:
    seq_len, batch_size, n, _ = sizes
    seen = [t for batch in evaluation_windows(np.arange(n), seq_len, batch_size)
            for t in targets(batch, seq_len, batch_size)]  # fmt: skip
    assert seen == list(range(1, n))


def test_evaluation_takes_a_text_shorter_than_a_window() -> None:
    (batch,) = evaluation_windows(np.array([5, 6]), 4, 3)
    assert batch.count == 1
    assert batch.x[0, 0] == 5
    assert batch.y.max() == 6
    with pytest.raises(DataError, match="1 characters: give at least 2"):
        evaluation_windows(np.array([5]), 4, 3)


def test_epochs_and_seeds_differ_in_order_and_cuts() -> None:
    n, seq_len, batch_size = 1000, 16, 8
    first: dict[tuple[int, int], bytes] = {}
    cuts = set()
    for seed in (1, 2):
        windows = Windows(np.arange(n), seq_len, batch_size, seed)
        for epoch in range(20):
            x, y, _ = windows.batch(epoch * windows.steps_per_epoch)
            first[seed, epoch] = x.tobytes()
            cuts.add(int(x[(y != IGNORE).all(1)][0, 0]) % seq_len)
    assert len(set(first.values())) == len(first)
    assert len(cuts) >= seq_len // 4


@pytest.mark.parametrize("remainder", range(16))
def test_the_cuts_can_be_at_half_of_all_places_or_more(remainder: int) -> None:
    windows = Windows(np.arange(1 + 5 * 16 + remainder), 16, 10, 3)
    assert windows.steps_per_epoch == 1
    cuts = {frozenset(windows.batch(epoch).x[:, 0].tolist()) for epoch in range(100)}
    assert len(cuts) >= 8


def test_windows_are_spread_evenly_over_the_steps() -> None:
    windows = Windows(np.arange(1 + 33 * 10), 10, 32, 0)
    rows = [int((windows.batch(step).y[:, 0] != IGNORE).sum()) for step in range(windows.steps_per_epoch)]
    assert rows == [17, 17]


def test_known_draws() -> None:
    """Pinned, because another draw (a new NumPy, a change here) would give resumed runs other batches."""
    assert int(np.random.Philox(key=np.array([7, 0], np.uint64)).random_raw()) == 16086915834549238692
    windows = Windows(np.arange(101), 10, 4, 7)
    assert windows.batch(0).x[:, 0].tolist() == [92, 82, 12, 0]
    assert windows.batch(windows.steps_per_epoch).x[:, 0].tolist() == [66, 0, 26, 0]


@given(n=st.integers(4, 400), fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5]), seq_len=st.integers(1, 20))
def test_split_by_position(n: int, fraction: float, seq_len: int) -> None:
    cut = int(n * (1 - fraction))
    if cut < seq_len + 1 or (fraction and n - cut < seq_len + 1):
        with pytest.raises(DataError, match="part has"):
            split(np.arange(n), fraction, seq_len)
        return
    train, val = split(np.arange(n), fraction, seq_len)
    assert np.array_equal(np.concatenate([train.head(n), val.head(n)]), np.arange(n))
    assert train.characters == cut
    assert not train.ids.flags.owndata  # views: a large corpus is not copied


def test_split_as_nanogpt_does() -> None:
    train, val = split(np.empty(1_115_394, np.uint8), 0.1, 64)
    assert (train.characters, val.characters) == (1_003_854, 111_540)


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(DataError, match="10 characters, a window of 10 needs 11"):
        Windows(np.arange(10), 10, 1, 0)
    assert Windows(np.arange(11), 10, 1, 0).batch(0).count <= 10
