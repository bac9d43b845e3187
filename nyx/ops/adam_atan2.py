"""Adam-atan2 (Everett et al. 2024, "Scaling Exponents Across Parameterizations and Optimizers", section 4.3) as both
programs of the Hierarchical Reasoning Model train, with decoupled weight decay, over flat ranges:

m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p = p (1 - lr wd) - lr / c1 * atan2(m, sqrt(v / c2))

They correct the bias of m outside of atan2, unlike the paper: the first update is lr * atan(1 - beta1) / (1 - beta1).

Nothing depends on the gradient's scale, and there is no eps: where m and v are 0 the step is 0. What comes from outside
is as in `adam`.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Traits, _adam
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = _adam.spec()


def shapes(
    g: Tensor,
    hyper: Tensor,
    control: Tensor,
    p: Tensor,
    m: Tensor,
    v: Tensor,
    *,
    row: int,
    beta1: float,
    beta2: float,
) -> tuple[tuple[int, ...], ...]:
    """As in _adam.check."""
    return _adam.check("adam_atan2", g, hyper, control, p, m, v, row)


def launch(step: Step, traits: Traits) -> Launch:
    return _adam.launch(step, traits)


def run(
    g: np.ndarray,
    hyper: np.ndarray,
    control: np.ndarray,
    p: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    row: int,
    beta1: float,
    beta2: float,
) -> None:
    _adam.update((g, hyper, control, p, m, v), row, beta1, beta2, _direction)


def _direction(m: np.ndarray, v: np.ndarray, lr: float, c1: float, c2: float, x: np.ndarray, y: np.ndarray) -> None:
    np.sqrt(v, out=x)
    np.multiply(x, 1 / np.sqrt(c2), out=x)
    np.arctan2(m, x, out=x)
    np.multiply(x, lr / c1, out=x)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[adam_atan2] no second derivatives")
