"""y = (x - mean) * rstd * w + b with rstd = 1 / sqrt(var + eps), mean and (biased) variance per row.

Ba, Kiros and Hinton, Layer Normalization, 2016.
"""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import by_rows
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("x", "w", "b"),
    outputs=("y", "mean", "rstd"),
    optional=("b",),
    push=("rows:u", "cols:u", "has_b:u", "eps:f"),
)


def shapes(x: Tensor, w: Tensor, b: Tensor | None = None, eps: float = 1e-5) -> tuple[tuple[int, ...], ...]:
    fits = w.shape == x.shape[-1:] and (b is None or b.shape == w.shape)
    require("layer_norm", fits, "w and b must have one element per column of x", x, w, b)
    require("layer_norm", eps > 0, f"eps must be positive, not {eps}", x)
    return (x.shape, (x.rows,), (x.rows,))


def launch(step: Step, traits: Traits) -> Launch:
    x, _, b = step.inputs
    assert x
    push = {"rows": x.rows, "cols": x.shape[-1], "has_b": int(b is not None), "eps": step.consts["eps"]}
    return Launch((by_rows(x.rows, x.shape[-1], push, traits),))


def run(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    C = x.shape[-1]
    y = np.empty_like(x)
    x, out = x.reshape(-1, C), y.reshape(-1, C)
    mean, rstd = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    for at in blocks(len(x), C):
        np.mean(x[at], axis=1, out=mean[at])
        d = np.subtract(x[at], mean[at, None], out=out[at])
        var = np.einsum("rc,rc->r", d, d)
        var /= C
        var += eps
        np.reciprocal(np.sqrt(var, out=var), out=rstd[at])
        d *= rstd[at, None]
        d *= w
        if b is not None:
            d += b
    return y, mean, rstd


def grad(step: Step, dy: Tensor | None, *others: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None or any(d is not None for d in others):
        raise ProgramError("[layer_norm] only y has a gradient")
    x, w, _ = step.inputs
    _, mean, rstd = step.outputs
    need_dx, need_dw, need_db = step.needs
    return ops.layer_norm_backward(x, w, mean, rstd, dy, need_dx=need_dx, need_dw=need_dw, need_db=need_db)
