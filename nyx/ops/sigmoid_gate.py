"""y = x * sigmoid(gate), element by element; gate may be columns of a fused projection."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import lanes
from nyx.ops._sigmoid import sigmoid
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "gate"), outputs=("y",), strided=("gate",), push=("n:u", "cols:u"))


def shapes(x: Tensor, gate: Tensor) -> tuple[tuple[int, ...], ...]:
    require("sigmoid_gate", x.shape == gate.shape, "x and gate must have one shape", x, gate)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    x = step.inputs[0]
    assert x
    return Launch((Pass(lanes(x.size, traits), {"n": x.size, "cols": x.shape[-1]}),))


def run(x: np.ndarray, gate: np.ndarray) -> np.ndarray:
    C = x.shape[-1]
    y = np.empty_like(x)
    x, gate, out = x.reshape(-1, C), gate.reshape(-1, C), y.reshape(-1, C)
    for at in blocks(len(x), C):
        np.multiply(sigmoid(gate[at]), x[at], out=out[at])
    return y


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return ops.sigmoid_gate_backward(*step.inputs, dy)
