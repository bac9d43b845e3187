"""y = x * P(N <= x), N normal: the Gaussian error linear unit (Hendrycks and Gimpel, 2016).

approximate="tanh" is the same source's y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
"""

from __future__ import annotations

import math

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._normal import bell, tail
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x",), outputs=("y",), push=("n:u",))


def shapes(x: Tensor, approximate: str = "none") -> tuple[tuple[int, ...], ...]:
    rule = f"approximate must be 'none' or 'tanh', not {approximate!r}"
    require("gelu", approximate in ("none", "tanh"), rule, x)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    (x,) = step.inputs
    assert x
    variant = "tanh" if step.consts["approximate"] == "tanh" else ""
    return Launch((Pass(lanes(x.size, traits), {"n": x.size}, variant),))


def tanh_of(x: np.ndarray) -> np.ndarray:
    """tanh(sqrt(2 / pi) * (x + 0.044715 x^3))."""
    u = x * x
    u *= 0.044715 * math.sqrt(2 / math.pi)
    u += math.sqrt(2 / math.pi)
    u *= x
    return np.tanh(u, out=u)


def run(x: np.ndarray, approximate: str = "none") -> np.ndarray:
    y = np.empty_like(x)
    x, out = x.reshape(-1), y.reshape(-1)
    for at in blocks(x.size):
        v = x[at]
        if approximate == "tanh":
            t = tanh_of(v)
            t += 1
            t *= 0.5
            np.multiply(t, v, out=out[at])
        else:  # max(x, 0) - |x| P(N > |x|): no cancellation for x << 0
            z = np.abs(v)
            q = tail(z, bell(v))
            q *= z
            np.subtract(np.maximum(v, 0), q, out=out[at])
    return y


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (ops.gelu_backward(step.inputs[0], dy, approximate=step.consts["approximate"]),)
