"""y = max(x, 0)."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x",), outputs=("y",), push=("n:u",))


def shapes(x: Tensor) -> tuple[tuple[int, ...], ...]:
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    (x,) = step.inputs
    assert x
    return Launch((Pass(lanes(x.size, traits), {"n": x.size}),))


def run(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (ops.relu_backward(step.outputs[0], dy),)
