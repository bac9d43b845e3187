"""With g, u the halves of x and s = sigmoid(g): dg = dy * u * s * (1 + g * (1 - s)), du = dy * g * s."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._sigmoid import sigmoid
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "dy"), outputs=("dx",), push=("n:u", "cols:u"))


def shapes(x: Tensor, dy: Tensor) -> tuple[tuple[int, ...], ...]:
    fits = x.shape[:-1] == dy.shape[:-1] and x.shape[-1] == 2 * dy.shape[-1]
    require("swiglu_backward", fits, "x must be (..., 2F) and dy (..., F)", x, dy)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    dy = step.inputs[1]
    assert dy
    return Launch((Pass(lanes(dy.size, traits), {"n": dy.size, "cols": dy.shape[-1]}),))


def run(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    F = dy.shape[-1]
    dx = np.empty_like(x)
    x, dy, out = x.reshape(-1, 2 * F), dy.reshape(-1, F), dx.reshape(-1, 2 * F)
    for at in blocks(len(x), F):
        gate = x[at, :F]
        s = sigmoid(gate)
        du = np.multiply(gate, s, out=out[at, F:])  # silu(g)
        dg = np.subtract(1, s, out=out[at, :F])
        dg *= du
        dg += s  # silu'(g) = s + g s (1 - s)
        dg *= x[at, F:]
        dg *= dy[at]
        du *= dy[at]
    return dx


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[swiglu_backward] has no gradient: there are no second derivatives")
