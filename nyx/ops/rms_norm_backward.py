"""dx = rstd * (dy - y * mean(dy * y)) per row, from rms_norm's outputs y and rstd."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits, require
from nyx.ops._blocks import blocks
from nyx.ops._launch import by_rows
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("y", "rstd", "dy"), outputs=("dx",), push=("rows:u", "cols:u"))


def shapes(y: Tensor, rstd: Tensor, dy: Tensor) -> tuple[tuple[int, ...], ...]:
    fits = y.shape == dy.shape and rstd.shape == (y.rows,)
    require("rms_norm_backward", fits, "y and dy must have one shape, rstd one element per row", y, rstd, dy)
    return (y.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    y = step.inputs[0]
    assert y
    return Launch((by_rows(y.rows, y.shape[-1], {"rows": y.rows, "cols": y.shape[-1]}, traits),))


def run(y: np.ndarray, rstd: np.ndarray, dy: np.ndarray) -> np.ndarray:
    C = y.shape[-1]
    dx = np.empty_like(dy)
    y, dy, out = y.reshape(-1, C), dy.reshape(-1, C), dx.reshape(-1, C)
    for at in blocks(len(y), C):
        mean = np.einsum("rc,rc->r", dy[at], y[at])
        mean /= C
        d = np.multiply(y[at], mean[:, None], out=out[at])
        np.subtract(dy[at], d, out=d)
        d *= rstd[at, None]
    return dx


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[rms_norm_backward] has no gradient: there are no second derivatives")
