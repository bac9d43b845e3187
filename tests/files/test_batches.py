"""Batches: every target once per epoch, any step alone gives the same batch, padding is never a target."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx.errors import DataError
from nyx.text.batches import IGNORE, Batch, Windows, evaluation_windows
from nyx.text.sequences import Sequences

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
    assert windows.batch(0).x[:, 0].tolist() == [12, 0, 32, 0]
    assert windows.batch(windows.steps_per_epoch).x[:, 0].tolist() == [46, 66, 26, 0]


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(DataError, match="10 characters, a window of 10 needs 11"):
        Windows(np.arange(10), 10, 1, 0)
    assert Windows(np.arange(11), 10, 1, 0).batch(0).count <= 10


@st.composite
def parts(draw: st.DrawFn) -> Sequences:
    """Two sequences or more over ids 0, 1, 2, ..., with characters between them that belong to none."""
    sizes = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=2, max_size=25))
    sizes.append((1, 2))
    ends = np.cumsum(np.array(sizes).sum(1))
    return Sequences(np.arange(int(ends[-1])), ends - np.array(sizes)[:, 1], ends)


def wanted(part: Sequences) -> Counter[int]:
    """Every character that has one before it in its sequence."""
    return Counter(i for a, b in zip(part.starts, part.ends, strict=True) for i in range(a + 1, b))


def epoch_targets(windows: Windows, epoch: int = 0) -> Counter[int]:
    """The targets of an epoch; checks that inputs stand before their targets and that padding is ignored."""
    seen, count = Counter[int](), 0
    for step in range(windows.steps_per_epoch):
        x, y, n = windows.batch(epoch * windows.steps_per_epoch + step)
        assert x.shape == y.shape == (windows.batch_size, windows.seq_len)
        real = y != IGNORE
        assert (y[real] == x[real] + 1).all()
        assert (x[~real] == 0).all()
        assert n == real.sum() >= 1
        seen.update(y[real].tolist())
        count += n
    assert count == windows.targets
    return seen


@given(part=parts(), sizes=sizes, epoch=st.integers(0, 2), pack=st.booleans())
def test_examples_give_every_target_once(
    part: Sequences, sizes: tuple[int, int, int, int], epoch: int, pack: bool
) -> None:
    seq_len, batch_size, _, seed = sizes
    windows = Windows(part, seq_len, batch_size, seed, pack=pack)
    assert epoch_targets(windows, epoch) == wanted(part)
    assert windows.targets == part.targets == wanted(part).total()
    assert windows.steps_per_epoch == -(-windows.n_windows // batch_size)


@given(part=parts(), sizes=sizes)
def test_packed_rows_hold_whole_examples(part: Sequences, sizes: tuple[int, int, int, int]) -> None:
    """Only an example longer than a window is in more than one row, and no two rows would fit into one."""
    seq_len, batch_size, _, seed = sizes
    windows = Windows(part, seq_len, batch_size, seed, pack=True)
    home = np.repeat(np.arange(len(part)), part.ends - part.starts)
    home = dict(zip(np.concatenate([np.arange(a, b) for a, b in zip(part.starts, part.ends, strict=True)]).tolist(),
                    home.tolist(), strict=True))  # fmt: skip
    rows: list[Counter[int]] = []
    for step in range(windows.steps_per_epoch):
        for row in windows.batch(step).y:
            if (row != IGNORE).any():
                rows.append(Counter(home[i] for i in row[row != IGNORE].tolist()))
    assert len(rows) == windows.n_windows
    for example in range(len(part)):
        count = int(part.ends[example] - part.starts[example]) - 1
        assert sum(example in row for row in rows) == -(-count // seq_len)
    halves = [row.total() for row in rows if 2 * row.total() <= seq_len]
    assert len(halves) <= 1


@given(part=parts(), sizes=sizes)
def test_an_example_stands_alone_unless_packed(part: Sequences, sizes: tuple[int, int, int, int]) -> None:
    seq_len, batch_size, _, seed = sizes
    windows = Windows(part, seq_len, batch_size, seed)
    for step in range(windows.steps_per_epoch):
        for row in windows.batch(step).y:
            real = row[row != IGNORE]
            assert (np.diff(real) == 1).all()
            assert np.array_equal(row[: len(real)], real)


shares = st.tuples(st.floats(0.01, 1), st.none() | st.integers(1, 40))


@given(part=parts(), sizes=sizes, one=shares, two=shares, pack=st.booleans())
def test_a_larger_share_of_examples_contains_a_smaller_one(
    part: Sequences, sizes: tuple[int, int, int, int], one: tuple[float, int | None], two: tuple[float, int | None],
    pack: bool
) -> None:  # fmt: skip
    seq_len, batch_size, _, seed = sizes
    found = []
    for (share, most), length in ((one, seq_len), (two, seq_len + 3)):
        windows = Windows(part, length, batch_size, seed, share=share, max_sequences=most, pack=pack)
        chosen = epoch_targets(windows)
        assert epoch_targets(windows, 1) == chosen
        assert set(chosen.values()) <= {1}
        size = min(max(1, round(share * len(part))), most or len(part))
        whole = [range(a + 1, b) for a, b in zip(part.starts, part.ends, strict=True)]
        taken = [example for example in whole if len(example) and set(example) <= set(chosen)]
        assert sum(map(len, taken)) == chosen.total()  # whole examples
        assert len(taken) <= size
        found.append((size, set(chosen)))
    (_, smaller), (_, larger) = sorted(found, key=lambda pair: pair[0])
    assert smaller <= larger


@given(n=st.integers(40, 400), lengths=st.lists(st.integers(1, 20), min_size=2, max_size=2), one=shares, two=shares,
       chunk=st.integers(20, 30), seed=st.integers(0, 99))  # fmt: skip
def test_a_larger_share_of_a_stream_contains_a_smaller_one(
    n: int, lengths: list[int], one: tuple[float, int | None], two: tuple[float, int | None], chunk: int, seed: int
) -> None:
    found = []
    for (share, most), seq_len in zip((one, two), lengths, strict=True):
        windows = Windows(np.arange(n), seq_len, 3, seed, share=share, max_sequences=most, chunk=chunk)
        chosen = epoch_targets(windows)
        assert epoch_targets(windows, 3) == chosen
        assert set(chosen.values()) == {1}
        assert windows.n_windows <= (most or windows.n_windows)
        if most is None:
            assert abs(chosen.total() - share * (n - 1)) <= chunk
        found.append(set(chosen))
    smaller, larger = sorted(found, key=len)
    assert smaller <= larger


@pytest.mark.parametrize("cut", [np.array([0, 2000]), np.arange(0, 2001, 10)], ids=["stream", "examples"])
def test_a_share_is_drawn_by_the_seed(cut: np.ndarray) -> None:
    part = Sequences(np.arange(2000), cut[:-1], cut[1:])
    chosen = {seed: set(epoch_targets(Windows(part, 10, 4, seed, share=0.1))) for seed in (1, 2)}
    assert chosen[1] != chosen[2]
    assert max(chosen[1]) - min(chosen[1]) > 1000  # from everywhere


@given(part=parts(), sizes=sizes, limit=st.none() | st.integers(1, 60))
def test_evaluation_of_examples_has_every_target_once_in_order(
    part: Sequences, sizes: tuple[int, int, int, int], limit: int | None
) -> None:
    seq_len, batch_size, _, _ = sizes
    seen = []
    for batch in evaluation_windows(part, seq_len, batch_size, limit):
        seen += targets(batch, seq_len, batch_size)
    assert seen == sorted(wanted(part))[:limit]


@given(sizes=sizes, limit=st.integers(1, 60))
def test_evaluation_of_the_front_of_a_stream(sizes: tuple[int, int, int, int], limit: int) -> None:
    seq_len, batch_size, n, _ = sizes
    cut = evaluation_windows(np.arange(n), seq_len, batch_size, limit)
    whole = evaluation_windows(np.arange(n)[: limit + 1], seq_len, batch_size)
    for a, b in zip(cut, whole, strict=True):
        assert np.array_equal(a.x, b.x)
        assert np.array_equal(a.y, b.y)


def test_examples_without_a_target_are_refused() -> None:
    none = Sequences(np.arange(5), np.array([0, 2]), np.array([1, 3]))
    with pytest.raises(DataError, match="no example with two characters"):
        Windows(none, 4, 2, 0)
    with pytest.raises(DataError, match="has 2 characters"):
        evaluation_windows(none, 4, 2)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_memory_does_not_grow_with_the_text(share: float) -> None:
    """A text of 10**11 characters, without the characters: what is held is a few batches."""
    ids = np.broadcast_to(np.uint8(1), 10**11)
    tracemalloc.start()
    windows = Windows(ids, 64, 32, 1, share=share)
    for step in (0, 5, windows.steps_per_epoch - 1, 3 * windows.steps_per_epoch):
        assert windows.batch(step).count > 1000
    assert next(evaluation_windows(ids, 64, 32)).count == 64 * 32
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
