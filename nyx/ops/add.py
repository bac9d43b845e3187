"""y = a + b. b has a's shape, or a suffix of it and then repeats; only then it must need no gradient."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("a", "b"), outputs=("y",), push=("n:u", "period:u"))


def shapes(a: Tensor, b: Tensor) -> tuple[tuple[int, ...], ...]:
    require("add", a.shape[len(a.shape) - len(b.shape) :] == b.shape, "b must have a's shape or a suffix of it", a, b)
    return (a.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    a, b = step.inputs
    assert a and b
    return Launch((Pass(groups_of(a.size, 64, traits), {"n": a.size, "period": b.size}),))


def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    a, b = step.inputs
    assert a and b
    if step.needs[1] and a.shape != b.shape:
        raise ProgramError(f"[add] a repeated operand has no gradient: {b!r}")
    return (dy, dy)
