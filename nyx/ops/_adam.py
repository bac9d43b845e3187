"""What the Adam operations share: spec, shapes, launch, and the moments. They differ in the step they make of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

INPUTS, INOUTS = ("g", "hyper", "control"), ("p", "m", "v")
PUSH = ("n:u", "row:u", "rest1:f", "beta2:f", "rest2:f")
_CHUNK = 1 << 14  # elements at a time: they stay in the cache

# (m, v, lr, c1, c2, x, y) -> None: puts what is subtracted from p into x; y is scratch.
Direction = Callable[..., None]


def spec(*push: str) -> Spec:
    """push: what the operation needs beyond PUSH."""
    return Spec(inputs=INPUTS, inouts=INOUTS, push=(*PUSH, *push))


def check(
    name: str, g: Tensor, hyper: Tensor, control: Tensor, p: Tensor, m: Tensor, v: Tensor, row: int
) -> tuple[tuple[int, ...], ...]:
    """g, p, m, v of one size; control (4,) of `clip`; hyper (R, 4).

    Row 0 of hyper: lr, max_norm, step number, unused. Row `row`: weight decay wd, c1 = 1 - beta1^t, c2 = 1 - beta2^t,
    unused, where t counts the updates of these parameters from 1.
    """
    require(name, g.size == p.size == m.size == v.size, "g, p, m and v must have one size", g, p, m, v)
    require(name, hyper.shape[1:] == (4,) and control.shape == (4,), "hyper (R, 4), control (4,)", hyper, control)
    require(name, 0 < row < hyper.shape[0], f"row {row} must be a row of hyper after the first", hyper)
    return ()


def launch(step: Step, traits: Traits, **push: float) -> Launch:
    """push: the operation's own."""
    g, consts = step.inputs[0], step.consts
    assert g
    push |= {
        "n": g.size,
        "row": consts["row"],
        "rest1": 1 - consts["beta1"],
        "beta2": consts["beta2"],
        "rest2": 1 - consts["beta2"],
    }
    return Launch((Pass(groups_of(g.size, 256, traits), push),))


def update(arrays: tuple[np.ndarray, ...], row: int, beta1: float, beta2: float, direction: Direction) -> None:
    """Changes p, m and v in place; arrays: g, hyper, control, p, m, v."""
    g, hyper, control = arrays[:3]
    if control[2] != 0:
        return
    lr, (decay, c1, c2) = hyper[0, 0], hyper[row, :3]
    keep = 1 - lr * decay
    scratch = np.empty((2, min(g.size, _CHUNK)), g.dtype)
    flat = [a.reshape(-1) for a in (g, *arrays[3:])]
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
        direction(m_, v_, lr, c1, c2, x, y)
        np.multiply(p_, keep, out=p_)
        np.subtract(p_, x, out=p_)
