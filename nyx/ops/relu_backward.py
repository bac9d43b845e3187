"""dx = dy where y > 0, else 0; y is relu's output (x does as well)."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("y", "dy"), outputs=("dx",), push=("n:u",))


def shapes(y: Tensor, dy: Tensor) -> tuple[tuple[int, ...], ...]:
    require("relu_backward", y.shape == dy.shape, "y and dy must have one shape", y, dy)
    return (y.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    y = step.inputs[0]
    assert y
    return Launch((Pass(lanes(y.size, traits), {"n": y.size}),))


def run(y: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return dy * (y > 0)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[relu_backward] has no gradient: there are no second derivatives")
