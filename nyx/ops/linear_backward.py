"""The gradients of y = x wᵀ + b: dx = dy w (..., K), dw = dyᵀ x (N, K), db = dy summed over its M rows (N,)."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.ops._matmul import aligned, product_pass, splits_for
from nyx.program import Step
from nyx.tensor import Tensor

# partial: (splits, N, K) sums over strips of rows, bias_partial: (bias_splits, N); `reduce` adds them up in order.
SPEC = Spec(
    inputs=("x", "w", "dy"),
    outputs=("dx", "dw", "db"),
    scratch=("partial", "bias_partial"),
    optional=("dx", "dw", "db"),
    push=("m:u", "n:u", "k:u", "tiles_x:u", "splits:u", "bias_splits:u"),
)


def shapes(
    x: Tensor, w: Tensor, dy: Tensor, need_dx: bool = True, need_dw: bool = True, need_db: bool = False
) -> tuple[tuple[int, ...] | None, ...]:
    require("linear_backward", len(w.shape) == 2 and x.shape[-1] == w.shape[1], "w must be (N, K) for x (..., K)", x, w)
    require("linear_backward", dy.shape == (*x.shape[:-1], w.shape[0]), "dy must be (..., N) for x (..., K)", x, w, dy)
    require("linear_backward", need_dx or need_dw or need_db, "at least one gradient must be wanted", x, w)
    return (x.shape if need_dx else None, w.shape if need_dw else None, w.shape[:1] if need_db else None)


def launch(step: Step, traits: Traits) -> Launch:
    x, w, dy = step.inputs
    assert x and w and dy
    dx, dw, db = step.outputs
    m, (n, k) = x.rows, w.shape
    sizes: dict[str, int | float] = {"m": m, "n": n, "k": k, "tiles_x": 1, "splits": 1, "bias_splits": 1}
    passes: list[Pass] = []
    scratch = {"partial": 0, "bias_partial": 0}
    if dx is not None:
        variant, groups, tiles_x = product_pass(m, k, traits, aligned((dy, n), (w, k)))
        passes.append(Pass(groups, {**sizes, "tiles_x": tiles_x}, "dx_" + variant))
    if dw is not None:
        splits = splits_for(n, k, m, traits)
        sizes["splits"] = splits
        variant, groups, tiles_x = product_pass(n, k, traits, aligned((dy, n), (x, k)), splits)
        passes.append(Pass(groups, {**sizes, "tiles_x": tiles_x}, "dw_" + variant))
        scratch["partial"] = n * k * splits if splits > 1 else 0
    if db is not None:
        lanes = ceil_div(n, 4)
        strips = max(1, min(ceil_div(m, 16), ceil_div(256 if traits.software else 4096, lanes)))
        sizes["bias_splits"] = strips
        passes.append(Pass(groups_of(lanes * strips, 64, traits), dict(sizes), "bias"))
        scratch["bias_partial"] = n * strips
    total = (n * k if sizes["splits"] > 1 else 0) + (n if db is not None else 0)
    if total:
        sizes["bias_splits"] *= db is not None
        passes.append(Pass(groups_of(total, 64, traits), sizes, "reduce"))
    return Launch(tuple(passes), scratch)


def run(
    x: np.ndarray, w: np.ndarray, dy: np.ndarray, need_dx: bool = True, need_dw: bool = True, need_db: bool = False
) -> tuple[np.ndarray | None, ...]:
    x2, dy2 = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    dx = np.matmul(dy2, w).reshape(x.shape) if need_dx else None
    dw = np.matmul(dy2.T, x2) if need_dw else None
    db = dy2.sum(axis=0) if need_db else None
    return dx, dw, db


def grad(step: Step, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[linear_backward] second derivatives are not there")
