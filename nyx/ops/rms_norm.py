"""y = x * rstd with rstd = 1 / sqrt(mean(x^2) + eps) per row: root mean square normalization without a weight.

Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.
"""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits, require
from nyx.ops._launch import by_rows
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x",), outputs=("y", "rstd"), push=("rows:u", "cols:u", "eps:f"))


def shapes(x: Tensor, eps: float = 1e-6) -> tuple[tuple[int, ...], ...]:
    require("rms_norm", eps > 0, f"eps must be positive, not {eps}", x)
    return (x.shape, (x.rows,))


def launch(step: Step, traits: Traits) -> Launch:
    (x,) = step.inputs
    assert x
    return Launch(
        (by_rows(x.rows, x.shape[-1], {"rows": x.rows, "cols": x.shape[-1], "eps": step.consts["eps"]}, traits),)
    )


def run(x: np.ndarray, eps: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    flat = x.reshape(-1, x.shape[-1])
    rstd = np.einsum("rc,rc->r", flat, flat)
    rstd /= x.shape[-1]
    rstd += eps
    np.sqrt(rstd, out=rstd)
    np.reciprocal(rstd, out=rstd)
    return (flat * rstd[:, None]).reshape(x.shape), rstd


def grad(step: Step, dy: Tensor | None, drstd: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None or drstd is not None:
        raise ProgramError("[rms_norm] only y has a gradient")
    return (ops.rms_norm_backward(*step.outputs, dy),)
