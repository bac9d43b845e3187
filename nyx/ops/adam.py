"""AdamW, decoupled weight decay (Loshchilov and Hutter 2019, Algorithm 2, as torch.optim.AdamW), over flat ranges:

m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p = p (1 - lr wd) - lr / c1 * m / (sqrt(v / c2) + eps)

with g clipped first: g * control[0]. What changes from step to step comes in `hyper`. Once control[2] is set (`clip`
saw a norm that is not finite) nothing is written.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("g", "hyper", "control"),
    inouts=("p", "m", "v"),
    push=("n:u", "row:u", "rest1:f", "beta2:f", "rest2:f", "eps:f"),
)
_CHUNK = 1 << 14  # elements at a time in run: they stay in the cache


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
    """g, p, m, v of one size; control (4,) of `clip`; hyper (R, 4).

    Row 0 of hyper: lr, max_norm, step number, unused. Row `row`: weight decay wd, c1 = 1 - beta1^t, c2 = 1 - beta2^t,
    unused, where t counts the updates of these parameters from 1.
    """
    require("adam", g.size == p.size == m.size == v.size, "g, p, m and v must have one size", g, p, m, v)
    require("adam", hyper.shape[1:] == (4,) and control.shape == (4,), "hyper (R, 4), control (4,)", hyper, control)
    require("adam", 0 < row < hyper.shape[0], f"row {row} must be a row of hyper after the first", hyper)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    g, consts = step.inputs[0], step.consts
    assert g
    push = {
        "n": g.size,
        "row": consts["row"],
        "rest1": 1 - consts["beta1"],
        "beta2": consts["beta2"],
        "rest2": 1 - consts["beta2"],
        "eps": consts["eps"],
    }
    return Launch((Pass(groups_of(g.size, 256, traits), push),))


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
    if control[2] != 0:
        return
    lr, (decay, c1, c2) = hyper[0, 0], hyper[row, :3]
    keep, rate, root = 1 - lr * decay, lr / c1, 1 / np.sqrt(c2)
    scratch = np.empty((2, min(g.size, _CHUNK)), g.dtype)
    flat = [a.reshape(-1) for a in (g, p, m, v)]
    for at in range(0, g.size, _CHUNK):
        g_, p_, m_, v_ = (a[at : at + _CHUNK] for a in flat)
        x, y = scratch[:, : g_.size]
        np.multiply(g_, control[0], out=x)
        np.subtract(x, m_, out=y)
        np.multiply(y, 1 - beta1, out=y)
        np.add(m_, y, out=m_)
        np.multiply(x, x, out=x)
        np.multiply(x, 1 - beta2, out=x)
        np.multiply(v_, beta2, out=v_)
        np.add(v_, x, out=v_)
        np.sqrt(v_, out=x)
        np.multiply(x, root, out=x)
        np.add(x, eps, out=x)
        np.divide(m_, x, out=x)
        np.multiply(x, rate, out=x)
        np.multiply(p_, keep, out=p_)
        np.subtract(p_, x, out=p_)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[adam] no second derivatives")
