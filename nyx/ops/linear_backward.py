"""The gradients of y = x wᵀ + b: dx = dy w (..., K), dw = dyᵀ x (N, K), db = dy summed over its M rows (N,)."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.ops._launch import TURNS
from nyx.ops._matmul import fours, product_pass, strips_of
from nyx.program import Step
from nyx.tensor import Tensor

# partial (strips, N, K): dw over each strip of rows; bias_partial (bias_strips, N): db. `reduce` adds the strips up.
SPEC = Spec(
    inputs=("x", "w", "dy"),
    outputs=("dx", "dw", "db"),
    scratch=("partial", "bias_partial"),
    optional=("dx", "dw", "db"),
    push=(
        *("m:u", "n:u", "k:u", "tiles_x:u", "k_fours:u", "n_fours:u"),
        *("strip:u", "strips:u", "bias_strip:u", "bias_strips:u"),
    ),
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
    strip, strips = strips_of(n, k, m, traits) if dw is not None else (m, 1)
    bias_strip, bias_strips = _bias_strips(m, n, traits) if db is not None else (m, 0)
    k_fours, n_fours = fours((x, k), (w, k), (dx, k), (dw, k)), fours((dy, n))
    push: dict[str, int | float] = {"m": m, "n": n, "k": k, "tiles_x": 1}
    push |= {"k_fours": int(k_fours), "n_fours": int(n_fours)}
    push |= {"strip": strip, "strips": strips, "bias_strip": bias_strip, "bias_strips": bias_strips}
    passes: list[Pass] = []
    if dx is not None:
        variant, groups, tiles_x = product_pass(m, k, traits, k_fours, n_fours)
        passes.append(Pass(groups, {**push, "tiles_x": tiles_x}, f"dx_{variant}"))
    if dw is not None:
        variant, groups, tiles_x = product_pass(n, k, traits, k_fours, n_fours, strips)
        passes.append(Pass(groups, {**push, "tiles_x": tiles_x}, f"dw_{variant}"))
    if db is not None:
        passes.append(Pass(groups_of(ceil_div(n, 4) * bias_strips, 64, traits), push, "bias"))
    partial = n * k if strips > 1 else 0
    if partial or db is not None:
        passes.append(Pass(groups_of(partial + (n if db is not None else 0), 64, traits), push, "reduce"))
    return Launch(tuple(passes), {"partial": max(1, partial * strips), "bias_partial": max(1, n * bias_strips)})


def _bias_strips(m: int, n: int, traits: Traits) -> tuple[int, int]:
    """Rows in a strip, and strips, so that one invocation for four columns of a strip fills the device."""
    wanted = ceil_div(256 if traits.software else 8192, ceil_div(n, 4))
    strip = max(8, min(TURNS, ceil_div(m, wanted)))
    return strip, ceil_div(m, strip)


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
