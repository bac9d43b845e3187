"""dx = dy * (P(N <= x) + x * density(x)), or the derivative of gelu's tanh form."""

from __future__ import annotations

import math

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._normal import bell, tail
from nyx.ops.gelu import doubled
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "dy"), outputs=("dx",), push=("n:u",))


def shapes(x: Tensor, dy: Tensor, approximate: str = "none") -> tuple[tuple[int, ...], ...]:
    rule = f"approximate must be 'none' or 'tanh', not {approximate!r}"
    require("gelu_backward", approximate in ("none", "tanh"), rule, x)
    require("gelu_backward", x.shape == dy.shape, "x and dy must have one shape", x, dy)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    x = step.inputs[0]
    assert x
    variant = "tanh" if step.consts["approximate"] == "tanh" else ""
    return Launch((Pass(lanes(x.size, traits), {"n": x.size}, variant),))


def _slope(x: np.ndarray) -> np.ndarray:
    """With r = P(N > |x|) - |x| density(x): r for x <= 0, 1 - r for x > 0."""
    e, z = bell(x), np.abs(x)
    r = tail(z, e)
    e *= 1 / math.sqrt(2 * math.pi)
    e *= z
    r -= e
    above = (x > 0).astype(x.dtype)
    np.multiply(above, -2, out=e)
    e += 1
    r *= e
    r += above
    return r


def _slope_tanh(x: np.ndarray) -> np.ndarray:
    """s (1 + x (1 - s) (2 u)') with s = sigmoid(2 u) and 1 - s = exp(-2 u) s, which has no cancellation."""
    e = doubled(x)
    np.negative(e, out=e)
    np.minimum(e, 80, out=e)  # above, s is 0 to rounding; exp must not overflow
    np.exp(e, out=e)
    s = e + 1
    np.reciprocal(s, out=s)
    e *= s
    e *= x
    slope = x * x
    slope *= 6 * 0.044715 * math.sqrt(2 / math.pi)
    slope += 2 * math.sqrt(2 / math.pi)
    e *= slope
    e += 1
    e *= s
    return e


def run(x: np.ndarray, dy: np.ndarray, approximate: str = "none") -> np.ndarray:
    dx = np.empty_like(dy)
    x, dy, out = x.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    slope = _slope_tanh if approximate == "tanh" else _slope
    for at in blocks(x.size):
        np.multiply(slope(x[at]), dy[at], out=out[at])
    return dx


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[gelu_backward] has no gradient: there are no second derivatives")
