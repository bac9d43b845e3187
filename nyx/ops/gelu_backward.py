"""dx = dy * (P(N <= x) + x * density(x)), or the derivative of gelu's tanh form."""

from __future__ import annotations

import math

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._normal import bell, tail
from nyx.ops.gelu import tanh_of
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
    e = bell(x)
    half = np.subtract(0.5, tail(np.abs(x), e))
    np.copysign(half, x, out=half)
    half += 0.5
    e *= 1 / math.sqrt(2 * math.pi)
    e *= x
    half += e
    return half


def _slope_tanh(x: np.ndarray) -> np.ndarray:
    """0.5 (1 + t) + 0.5 x (1 - t^2) u' with u' = sqrt(2 / pi) (1 + 3 * 0.044715 x^2)."""
    t = tanh_of(x)
    u = x * x
    u *= 1.5 * 0.044715 * math.sqrt(2 / math.pi)
    u += 0.5 * math.sqrt(2 / math.pi)
    u *= x
    u *= 1 - t * t
    t *= 0.5
    t += 0.5
    t += u
    return t


def run(x: np.ndarray, dy: np.ndarray, approximate: str = "none") -> np.ndarray:
    dx = np.empty_like(dy)
    x, dy, out = x.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    slope = _slope_tanh if approximate == "tanh" else _slope
    for at in blocks(x.size):
        np.multiply(slope(x[at]), dy[at], out=out[at])
    return dx


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[gelu_backward] has no gradient: there are no second derivatives")
