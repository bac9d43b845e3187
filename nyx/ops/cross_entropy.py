"""Cross-entropy of rows of logits with label smoothing (Szegedy et al. 2016, as torch.nn.functional.cross_entropy),
together with its gradient and whether the largest logit is the target's.

With s = softmax(row), smoothing e and V classes: loss = -sum_k q_k log s_k and dlogits = (s - q) * norm, where q is
(1 - e) at the target plus e / V everywhere. A negative target is ignored: loss, correct and dlogits are 0. A target
of V or more makes the row NaN.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("logits", "targets", "norm"),
    outputs=("loss", "correct", "dlogits"),
    optional=("dlogits",),
    push=("rows:u", "classes:u", "lanes:u", "need_grad:u", "on_target:f", "everywhere:f"),
)
_GROUP = 128  # invocations of the shader's workgroup
_CHUNK = 1 << 15  # elements at a time in run: they stay in the cache


def shapes(
    logits: Tensor, targets: Tensor, norm: Tensor, *, label_smoothing: float = 0.0, need_grad: bool = True
) -> tuple[tuple[int, ...] | None, ...]:
    """logits (..., V), targets i32 (...), norm (1,): what every row's gradient is multiplied by (1 / characters).

    Outputs loss (rows,) in nats, correct (rows,) 0 or 1, dlogits (..., V) or None without need_grad.
    """
    name = "cross_entropy"
    require(name, targets.size == logits.rows, "one target for every row of logits", logits, targets)
    require(name, targets.dtype == "i32" and norm.shape == (1,), "targets must be i32, norm (1,)", targets, norm)
    require(name, 0 <= label_smoothing <= 1, f"label_smoothing must lie in [0, 1], not {label_smoothing}", logits)
    return ((logits.rows,), (logits.rows,), logits.shape if need_grad else None)


def launch(step: Step, traits: Traits) -> Launch:
    """A power of two of invocations per row; one, in the variant without barriers, on a software driver.

    Barriers are slow there, but lavapipe ends all loops of an invocation after 65535 turns: so not for long rows.
    """
    logits = step.inputs[0]
    assert logits
    rows, classes, smoothing = logits.rows, logits.shape[-1], step.consts["label_smoothing"]
    alone, lanes = traits.software and classes <= 4096, 1
    while not alone and lanes < _GROUP and lanes * 8 < classes:
        lanes *= 2
    push = {
        "rows": rows,
        "classes": classes,
        "lanes": lanes,
        "need_grad": int(step.consts["need_grad"]),
        "on_target": 1 - smoothing,
        "everywhere": smoothing / classes,
    }
    if alone:
        return Launch((Pass(groups_of(rows, 32, traits), push, "lane"),))
    return Launch((Pass(groups_of(rows, _GROUP // lanes, traits), push),))


def run(
    logits: np.ndarray, targets: np.ndarray, norm: np.ndarray, label_smoothing: float = 0.0, need_grad: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    classes = logits.shape[-1]
    x, t = logits.reshape(-1, classes), targets.reshape(-1)
    loss, correct = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    dlogits = np.empty_like(x) if need_grad else None
    size = max(1, _CHUNK // classes)
    for at in range(0, len(x), size):
        part = slice(at, at + size)
        d = None if dlogits is None else dlogits[part]
        loss[part], correct[part] = _rows(x[part], t[part], norm[0], label_smoothing, d)
    return loss, correct, None if dlogits is None else dlogits.reshape(logits.shape)


def _rows(
    x: np.ndarray, t: np.ndarray, norm: np.floating, smoothing: float, d: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and correct (n,) of some rows x (n, V) with targets t (n,); writes their gradient into d (n, V)."""
    index, everywhere = np.arange(len(x)), smoothing / x.shape[1]
    best = x.argmax(axis=1)
    z = np.subtract(x, x[index, best][:, None], out=np.empty_like(x) if d is None else d)
    counts = (t >= 0).astype(x.dtype)
    counts[t >= x.shape[1]] = np.nan
    at = np.where((t >= 0) & (t < x.shape[1]), t, 0)
    loss = -(1 - smoothing) * z[index, at]
    if smoothing:
        loss -= everywhere * z.sum(axis=1)
    np.exp(z, out=z)
    total = z.sum(axis=1)
    loss += np.log(total)
    if d is not None:
        counted = counts * norm
        np.multiply(z, (counted / total)[:, None], out=z)
        if smoothing:
            np.subtract(z, (everywhere * counted)[:, None], out=z)
        z[index, at] -= (1 - smoothing) * counted
    return np.where(t < 0, 0, loss * counts), (best == t).astype(x.dtype)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[cross_entropy] its gradient is its output dlogits: seed the backward of the logits with that")
