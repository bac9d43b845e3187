"""y = silu(x[..., :F]) * x[..., F:], silu(g) = g * sigmoid(g): gate first, then value (Shazeer, GLU Variants, 2020)."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._sigmoid import sigmoid
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x",), outputs=("y",), push=("n:u", "cols:u"))


def shapes(x: Tensor) -> tuple[tuple[int, ...], ...]:
    require("swiglu", x.shape[-1] % 2 == 0, "x must be (..., 2F)", x)
    return ((*x.shape[:-1], x.shape[-1] // 2),)


def launch(step: Step, traits: Traits) -> Launch:
    (x,) = step.inputs
    assert x
    return Launch((Pass(lanes(x.size // 2, traits), {"n": x.size // 2, "cols": x.shape[-1] // 2}),))


def run(x: np.ndarray) -> np.ndarray:
    F = x.shape[-1] // 2
    y = np.empty((*x.shape[:-1], F), x.dtype)
    x, out = x.reshape(-1, 2 * F), y.reshape(-1, F)
    for at in blocks(len(x), F):
        gate = x[at, :F]
        s = sigmoid(gate)
        s *= gate
        np.multiply(s, x[at, F:], out=out[at])
    return y


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (ops.swiglu_backward(step.inputs[0], dy),)
