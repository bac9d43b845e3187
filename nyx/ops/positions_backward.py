"""dw[t] = the sum of dy[b, t] over b; zero for t >= T."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("dy",), outputs=("dw",), push=("n:u", "span:u", "batch:u"))


def shapes(dy: Tensor, positions: int) -> tuple[tuple[int, ...], ...]:
    fits = len(dy.shape) == 3 and dy.shape[1] <= positions
    require("positions_backward", fits, f"dy must be (B, T, C) with T <= {positions}", dy)
    return ((positions, dy.shape[2]),)


def launch(step: Step, traits: Traits) -> Launch:
    (dy,) = step.inputs
    assert dy
    B, T, C = dy.shape
    n = step.consts["positions"] * C
    return Launch((Pass(groups_of(ceil_div(n, 4), 64, traits), {"n": n, "span": T * C, "batch": B}),))


def run(dy: np.ndarray, positions: int) -> np.ndarray:
    _, T, C = dy.shape
    dw = np.empty((positions, C), dy.dtype)
    np.sum(dy, axis=0, out=dw[:T])
    dw[T:] = 0
    return dw


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[positions_backward] has no gradient: there are no second derivatives")
