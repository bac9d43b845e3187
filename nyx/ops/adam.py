"""AdamW, decoupled weight decay (Loshchilov and Hutter 2019, Algorithm 2, as torch.optim.AdamW), over flat ranges:

m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p = p (1 - lr wd) - lr / c1 * m / (sqrt(v / c2) + eps)

with g clipped first: g * control[0]. What changes from step to step comes in `hyper`. Once control[2] is set (`clip`
saw a norm that is not finite) nothing is written.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Traits, _adam
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = _adam.spec("eps:f")


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
    eps: float = 1e-8,
) -> tuple[tuple[int, ...], ...]:
    """As in _adam.check."""
    return _adam.check("adam", g, hyper, control, p, m, v, row)


def launch(step: Step, traits: Traits) -> Launch:
    return _adam.launch(step, traits, eps=step.consts["eps"])


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
    eps: float = 1e-8,
) -> None:
    def direction(m: np.ndarray, v: np.ndarray, lr: float, c1: float, c2: float, x: np.ndarray, y: np.ndarray) -> None:
        np.sqrt(v, out=x)
        np.multiply(x, 1 / np.sqrt(c2), out=x)
        np.add(x, eps, out=x)
        np.divide(m, x, out=x)
        np.multiply(x, lr / c1, out=x)

    _adam.update((g, hyper, control, p, m, v), row, beta1, beta2, direction)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[adam] no second derivatives")
