"""With s = sigmoid(gate): dx = dy * s, dgate = dy * x * s * (1 - s)."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._sigmoid import sigmoid
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "gate", "dy"), outputs=("dx", "dgate"), strided=("gate", "dgate"), push=("n:u", "cols:u"))


def shapes(x: Tensor, gate: Tensor, dy: Tensor) -> tuple[tuple[int, ...], ...]:
    fits = x.shape == gate.shape == dy.shape
    require("sigmoid_gate_backward", fits, "x, gate and dy must have one shape", x, gate, dy)
    return (x.shape, x.shape)


def launch(step: Step, traits: Traits) -> Launch:
    x = step.inputs[0]
    assert x
    return Launch((Pass(lanes(x.size, traits), {"n": x.size, "cols": x.shape[-1]}),))


def run(x: np.ndarray, gate: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    C = x.shape[-1]
    dx, dgate = np.empty_like(x), np.empty_like(x)
    x, gate, dy = x.reshape(-1, C), gate.reshape(-1, C), dy.reshape(-1, C)
    for at in blocks(len(x), C):
        s = sigmoid(gate[at])
        d = np.multiply(dy[at], s, out=dx.reshape(-1, C)[at])
        np.subtract(1, s, out=s)
        s *= x[at]
        np.multiply(s, d, out=dgate.reshape(-1, C)[at])
    return dx, dgate


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[sigmoid_gate_backward] has no gradient: there are no second derivatives")
