"""y = factor * x."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x",), outputs=("y",), push=("n:u", "factor:f"))


def shapes(x: Tensor, factor: float) -> tuple[tuple[int, ...], ...]:
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    (x,) = step.inputs
    assert x
    return Launch((Pass(lanes(x.size, traits), {"n": x.size, "factor": step.consts["factor"]}),))


def run(x: np.ndarray, factor: float) -> np.ndarray:
    return x * factor


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    return (ops.scale(dy, factor=step.consts["factor"]),)
