"""y = x wᵀ + b: x (..., K), w (N, K), b (N,) or absent, y (..., N); w as PyTorch's nn.Linear keeps it."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._matmul import fours, product_pass
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("x", "w", "b"),
    outputs=("y",),
    optional=("b",),
    push=("m:u", "n:u", "k:u", "tiles_x:u", "k_fours:u", "n_fours:u", "bias:u"),
)


def shapes(x: Tensor, w: Tensor, b: Tensor | None = None) -> tuple[tuple[int, ...], ...]:
    require("linear", len(w.shape) == 2 and x.shape[-1] == w.shape[1], "w must be (N, K) for x (..., K)", x, w)
    require("linear", b is None or b.shape == w.shape[:1], "b must be (N,) for w (N, K)", w, b)
    return ((*x.shape[:-1], w.shape[0]),)


def launch(step: Step, traits: Traits) -> Launch:
    x, w, b = step.inputs
    y = step.outputs[0]
    assert x and w and y
    m, (n, k) = x.rows, w.shape
    k_fours, n_fours = fours((x, k), (w, k)), fours((y, n))
    variant, groups, tiles_x = product_pass(m, n, traits, k_fours, n_fours)
    push = {"m": m, "n": n, "k": k, "tiles_x": tiles_x, "k_fours": k_fours, "n_fours": n_fours, "bias": b is not None}
    return Launch((Pass(groups, {name: int(value) for name, value in push.items()}, variant),))


def run(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    y = np.matmul(x.reshape(-1, x.shape[-1]), w.T)
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], w.shape[0])


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    need_dx, need_dw, need_db = step.needs
    return ops.linear_backward(step.inputs[0], step.inputs[1], dy, need_dx=need_dx, need_dw=need_dw, need_db=need_db)
