"""a, b = b, a, of any 4-byte dtype and to the last bit."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=(), inouts=("a", "b"), push=("n:u",))


def shapes(a: Tensor, b: Tensor) -> tuple[tuple[int, ...], ...]:
    require("swap", a.shape == b.shape, "a and b must have one shape", a, b)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    n = step.inouts[0].size
    return Launch((Pass(lanes(n, traits), {"n": n}),))


def run(a: np.ndarray, b: np.ndarray) -> None:
    before = a.copy()
    a[...] = b
    b[...] = before


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[swap] an exchange has no gradient")
