"""y[b, t] = x[b, t] + w[start + t]: learned positions. start (i32, default 0) is where a continued text goes on. Where
start + t is no row of w for some t, all of y is NaN.
"""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("x", "w", "start"),
    outputs=("y",),
    optional=("start",),
    push=("n:u", "span:u", "cols:u", "room:u", "has_start:u"),
)


def shapes(x: Tensor, w: Tensor, start: Tensor | None = None) -> tuple[tuple[int, ...], ...]:
    fits = len(x.shape) == 3 and len(w.shape) == 2 and x.shape[2] == w.shape[1] and x.shape[1] <= w.shape[0]
    require("positions", fits, "x must be (B, T, C) and w (S, C) with T <= S", x, w)
    single = start is None or (start.size == 1 and start.dtype == "i32")
    require("positions", single, "start must be one i32", start)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    x, w, start = step.inputs
    assert x and w
    _, T, C = x.shape
    push: dict[str, int | float] = {"n": x.size, "span": T * C, "cols": C, "room": w.shape[0] - T}
    push["has_start"] = int(start is not None)
    return Launch((Pass(lanes(x.size, traits), push),))


def run(x: np.ndarray, w: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    first = 0 if start is None else int(start[0])
    if not 0 <= first <= len(w) - x.shape[1]:
        return np.full_like(x, np.nan)
    return x + w[first : first + x.shape[1]]


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    _, w, start = step.inputs
    assert w
    if not step.needs[1]:
        return (dy, None, None)
    if start is not None:
        raise ProgramError("[positions] w gets a gradient only where start is absent")
    return (dy, ops.positions_backward(dy, positions=w.shape[0]), None)
