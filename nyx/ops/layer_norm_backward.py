"""The gradient of layer_norm, with h = (x - mean) * rstd and g = dy * w:

dx = rstd * (g - mean(g) - h * mean(g * h)) per row, dw = the sum of dy * h and db = the sum of dy over all rows.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import by_rows, strips
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("x", "w", "mean", "rstd", "dy"),
    outputs=("dx", "dw", "db"),
    scratch=("part",),
    optional=("dx", "dw", "db"),
    push=("rows:u", "cols:u", "strips:u", "has_dw:u", "has_db:u"),
)


def shapes(
    x: Tensor,
    w: Tensor,
    mean: Tensor,
    rstd: Tensor,
    dy: Tensor,
    need_dx: bool = True,
    need_dw: bool = True,
    need_db: bool = True,
) -> tuple[tuple[int, ...] | None, ...]:
    fits = x.shape == dy.shape and w.shape == x.shape[-1:] and mean.shape == rstd.shape == (x.rows,)
    rule = "x and dy must have one shape, w one element per column, mean and rstd one per row"
    require("layer_norm_backward", fits, rule, x, w, mean, rstd, dy)
    return (x.shape if need_dx else None, w.shape if need_dw else None, w.shape if need_db else None)


def launch(step: Step, traits: Traits) -> Launch:
    """dx by rows; dw and db in two stages: partial sums (strip, dw or db, C), then their sum."""
    x = step.inputs[0]
    assert x
    dx, dw, db = step.outputs
    rows, cols, parts = x.rows, x.shape[-1], strips(x.rows, traits)
    push: dict[str, int | float] = {"rows": rows, "cols": cols, "strips": parts}
    push |= {"has_dw": int(dw is not None), "has_db": int(db is not None)}
    passes = [by_rows(rows, cols, push, traits)] if dx else []
    if dw or db:
        passes.append(Pass(groups_of(parts * ceil_div(cols, 4), 64, traits), push, "strips"))
        passes.append(Pass(groups_of(cols, 64, traits), push, "sum"))
    return Launch(tuple(passes), {"part": 2 * parts * cols if dw or db else 1})


def run(
    x: np.ndarray,
    w: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    dy: np.ndarray,
    need_dx: bool = True,
    need_dw: bool = True,
    need_db: bool = True,
) -> tuple[np.ndarray | None, ...]:
    C = x.shape[-1]
    dx = np.empty_like(x) if need_dx else None
    dw, db = (np.zeros_like(w) if need else None for need in (need_dw, need_db))
    x, dy = x.reshape(-1, C), dy.reshape(-1, C)
    for at in blocks(len(x), C):
        d = dy[at]
        if db is not None:
            db += d.sum(axis=0)
        h = x[at] - mean[at, None]
        h *= rstd[at, None]
        if dw is not None:
            dw += np.einsum("rc,rc->c", d, h)
        if dx is not None:
            g = np.multiply(d, w, out=dx.reshape(-1, C)[at])
            slope = np.einsum("rc,rc->r", g, h)
            slope /= C
            h *= slope[:, None]
            g -= g.mean(axis=1, keepdims=True)
            g -= h
            g *= rstd[at, None]
    return dx, dw, db


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[layer_norm_backward] has no gradient: there are no second derivatives")
