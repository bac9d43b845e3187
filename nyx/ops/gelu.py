"""y = x * P(N <= x), N normal: the Gaussian error linear unit (Hendrycks and Gimpel, 2016).

approximate="tanh" is the same source's y = x / 2 * (1 + tanh(u)) = x * sigmoid(2 u) with
u = sqrt(2 / pi) * (x + 0.044715 x^3).
"""

from __future__ import annotations

import math

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._normal import bell, tail
from nyx.ops._sigmoid import sigmoid
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


def doubled(x: np.ndarray) -> np.ndarray:
    """2 u of the tanh form."""
    u = x * x
    u *= 2 * 0.044715 * math.sqrt(2 / math.pi)
    u += 2 * math.sqrt(2 / math.pi)
    u *= x
    return u


def run(x: np.ndarray, approximate: str = "none") -> np.ndarray:
    y = np.empty_like(x)
    x, out = x.reshape(-1), y.reshape(-1)
    for at in blocks(x.size):
        v = x[at]
        if approximate == "tanh":
            np.multiply(sigmoid(doubled(v)), v, out=out[at])
        else:  # max(x, 0) - |x| P(N > |x|): no cancellation for x << 0
            z = np.abs(v)
            q = tail(z, bell(v))
            q *= z
            z += v
            z *= 0.5
            np.subtract(z, q, out=out[at])
    return y


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (ops.gelu_backward(step.inputs[0], dy, approximate=step.consts["approximate"]),)
