"""What a row of the table cannot say of the operations of a training step: a gradient as output, flags, streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx import ops
from nyx.errors import ProgramError, ShapeError
from nyx.ops import adam, clip, cross_entropy, dropout, grad_norm, halt
from nyx.program import Program
from nyx.tensor import Tensor


@pytest.mark.parametrize("consts", [{}, {"label_smoothing": 0.1}, {"kind": "stablemax"}], ids=str)
def test_dlogits_are_the_gradient_of_the_loss(consts: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    logits, targets, norm = rng.standard_normal((6, 7)), np.array([0, 6, -1, 3, 1, 2], np.int32), np.array([0.25])
    ended = np.array([0.0, 1.0, -2.0])  # the last two rows
    _, _, dlogits = cross_entropy.run(logits, targets, norm, ended, **consts)
    want = np.empty(logits.shape)
    for i in np.ndindex(logits.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = logits.copy()
            moved[i] += step
            loss, _, none = cross_entropy.run(moved, targets, norm, ended, **consts, need_grad=False)
            assert none is None
            ends.append(loss.sum() * norm[0])
        want[i] = (ends[0] - ends[1]) / 2e-5
    assert dlogits is not None and dlogits[3].any() and not dlogits[[2, 4, 5]].any()
    np.testing.assert_allclose(dlogits, want, atol=1e-9)


def test_stablemax_is_what_it_says() -> None:
    """Against its definition row by row: probabilities m / S that sum to 1, however far the logits lie."""
    logits = np.array([[0.0, 2.0, -3.0], [-1e6, 1e6, 0.0], [-7.0, -7.0, -7.0]])
    masses = np.array([[1, 3, 1 / 4], [1 / (1 + 1e6), 1e6 + 1, 1], [1 / 8, 1 / 8, 1 / 8]])
    p = masses / masses.sum(axis=1, keepdims=True)
    for target in range(3):
        loss, *_ = cross_entropy.run(logits, np.full(3, target, np.int32), np.ones(1), kind="stablemax")
        np.testing.assert_allclose(loss, -np.log(p[:, target]), rtol=1e-13, atol=1e-15)


def halt_arguments(rows: int = 5, cols: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    q, q_next = rng.standard_normal((2, rows, cols, 2))
    loss, correct = rng.uniform(0, 2, rows * cols), rng.integers(0, 2, rows * cols).astype(float)
    targets = rng.integers(0, 9, (rows, cols)).astype(np.int32)
    targets[0, 1] = -1
    targets[2] = -1  # a row without an example
    progress = np.array([1.0, 0.0, 1.0, 1.0, 2.0][:rows])
    return [q, loss, correct, targets, np.array([0.2]), progress, np.ones(rows), q_next]


@pytest.mark.parametrize("accuracy", [0.4, 1.0])
@pytest.mark.parametrize("most", [1, 3])
def test_dq_is_the_gradient_of_the_halting_loss(accuracy: float, most: int) -> None:
    arguments, consts = halt_arguments(), {"max_steps": most, "accuracy": accuracy}
    if most == 1:
        arguments.pop()
    dq, _ = halt.run(*arguments, **consts)
    want, q = np.empty(dq.shape), arguments[0].copy()
    for i in np.ndindex(q.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = q.copy()
            moved[i] += step
            _, report = halt.run(moved, *arguments[1:], **consts)
            ends.append(report[:, 3:].sum() / 2 * arguments[4][0])
        want[i] = (ends[0] - ends[1]) / 2e-5
    assert dq[0, -1, 0] and not dq[:, :-1].any() and not dq[2].any() and bool(dq[..., 1].any()) == (most > 1)
    np.testing.assert_allclose(dq, want, atol=1e-9)


def test_who_ends_with_a_segment() -> None:
    """The last segment ends all; halt > continue ends a row, but for its least number; an empty row takes no part."""
    arguments = halt_arguments()
    arguments[0][:, -1] = [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    _, report = halt.run(*arguments, max_steps=3, accuracy=1.0)
    assert report[:, 0].tolist() == [-2, 1, 0, 2, -3]
    np.testing.assert_array_equal(report[:, 1], arguments[1].reshape(5, 3).sum(axis=1))
    assert report[:, 3:].all(where=np.array([[1], [1], [0], [1], [1]], bool)) and not report[2, 3:].any()
    arguments[6][:] = 3
    _, explored = halt.run(*arguments, max_steps=3, accuracy=1.0)
    assert explored[:, 0].tolist() == [2, 1, 0, 2, -3]


def test_cross_entropy_is_stable_and_chunks_do_not_show() -> None:
    rng = np.random.default_rng(0)
    x, targets = rng.standard_normal((1500, 65)).astype(np.float32), rng.integers(0, 65, 1500, dtype=np.int32)
    norm = np.ones(1, np.float32)
    loss, _, dlogits = cross_entropy.run(x, targets, norm)
    moved, _, moved_dlogits = cross_entropy.run((x + 1e4).astype(np.float32), targets, norm)
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved, loss, atol=4e-3)  # x + 1e4 is rounded to 1e-3
    one = [cross_entropy.run(x[i : i + 1], targets[i : i + 1], norm) for i in (0, 503, 504, 505, 1499)]
    assert dlogits is not None and moved_dlogits is not None and np.isfinite(moved_dlogits).all()
    assert [o[0][0] for o in one] == [loss[i] for i in (0, 503, 504, 505, 1499)]
    for (_, _, alone), i in zip(one, (0, 503, 504, 505, 1499), strict=True):
        assert alone is not None and np.array_equal(alone[0], dlogits[i])


def test_cross_entropy_has_no_grad() -> None:
    with Program("p") as program:
        logits = Tensor("logits", (3, 5), role="param")
        ops.cross_entropy(logits, Tensor("t", (3,), "i32", "input"), Tensor("norm", (1,), role="input"))
    with pytest.raises(ProgramError, match="dlogits"):
        program.steps[0].op.grad(program.steps[0], None, None, None)


def test_a_micro_batch_draws_what_the_big_batch_does() -> None:
    x, counter = np.ones((6, 5, 7)), np.array([1, 2, 3, 10], np.uint32)
    whole = dropout.run(x, counter, 0.3, 4)
    parts = [dropout.run(x[i : i + 2], counter + np.array([0, 0, 0, i], np.uint32), 0.3, 4) for i in (0, 2, 4)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert set(np.unique(whole)) == {0, 1 / 0.7} and not np.array_equal(whole, dropout.run(x, counter, 0.3, 5))
    big = dropout.run(np.ones((1, 200_000)), counter, 0.3, 4)
    assert abs((big == 0).mean() - 0.3) < 0.005 and abs(big.mean() - 1) < 0.01


@pytest.mark.parametrize("n", [1, 8192, 8193, 8192 * 2048, 8192 * 2048 + 1])
def test_partials_of_a_gradient(n: int) -> None:
    g = np.ones(n, np.float32)
    partial = grad_norm.run(g)
    assert partial.sum() == n and partial.max() <= 16384
    assert (partial.shape,) == grad_norm.shapes(Tensor("g", (n,))) and partial.size <= 2048


def test_the_flag_of_clip_stays_and_stops_adam() -> None:
    hyper, control = np.array([[0.1, 1, 5, 0], [0.1, 0.1, 0.1, 0]]), np.zeros(4)
    clip.run(np.array([9.0, 16.0]), hyper, control)
    np.testing.assert_allclose(control, [1 / (5 + 1e-6), 5, 0, 0], rtol=1e-15)
    clip.run(np.array([0.09, 0.16]), hyper, control)
    np.testing.assert_allclose(control, [1, 0.5, 0, 0], rtol=1e-15)
    g, p, m, v = np.ones((4, 3))
    adam.run(g, hyper, control, p, m, v, row=1, beta1=0.9, beta2=0.9)
    assert (p != 1).all()
    hyper[0, 2], before = 6, (p.copy(), m.copy(), v.copy())
    clip.run(np.array([np.nan, 1]), hyper, control)
    assert control[2:].tolist() == [1, 6] and control[0] == 0 and np.isnan(control[1])
    for step, partials in ((7, [np.inf, 1]), (8, [1, 1])):
        hyper[0, 2] = step
        clip.run(np.array(partials), hyper, control)
        assert control[2:].tolist() == [1, 6]
        adam.run(g, hyper, control, p, m, v, row=1, beta1=0.9, beta2=0.9)
        assert all(np.array_equal(a, b) for a, b in zip(before, (p, m, v), strict=True))


def test_shapes_are_checked() -> None:
    t = {n: Tensor(str(n), (n,) if isinstance(n, int) else n, role="input") for n in (3, 4, 5, (2, 4), (3, 5))}
    counter = Tensor("counter", (4,), "u32", "input")
    wrong = [
        lambda: ops.cross_entropy(t[3, 5], Tensor("t", (4,), "i32", "input"), Tensor("norm", (1,), role="input")),
        lambda: ops.cross_entropy(t[3, 5], t[3], Tensor("norm", (1,), role="input")),
        lambda: ops.dropout(t[5], t[4], rate=0.5, stream=0),
        lambda: ops.dropout(t[5], counter, rate=1.0, stream=0),
        lambda: ops.metrics(t[3], t[4], t[4]),
        lambda: ops.gradient_accumulation(t[3], t[4]),
        lambda: ops.clip(t[5], t[3, 5], t[4]),
        lambda: ops.adam(t[5], t[2, 4], t[4], t[5], t[5], t[4], row=1, beta1=0.9, beta2=0.9),
        lambda: ops.adam(t[5], t[2, 4], t[4], t[5], t[5], t[5], row=2, beta1=0.9, beta2=0.9),
    ]
    for call in wrong:
        with Program("p"), pytest.raises(ShapeError, match=r"^\["):
            call()
