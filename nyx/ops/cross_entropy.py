"""Cross-entropy of rows of logits with label smoothing (Szegedy et al. 2016, as torch.nn.functional.cross_entropy),
together with its gradient and whether the largest logit is the target's.

kind softmax: with s = softmax(row), smoothing e and V classes loss = -sum_k q_k log s_k and dlogits = (s - q) * norm,
where q is (1 - e) at the target plus e / V everywhere. kind stablemax (Prieto et al. 2025, Grokking at the Edge of
Numerical Stability): probabilities m / S with m(x) = x + 1 for x >= 0 and 1 / (1 - x) below, S their sum in the row, so
m'(x) = min(m, 1)^2 and dlogits = (m' / S - [target] m' / m) * norm.

A negative target is ignored: loss, correct and dlogits are 0. So is every target of a sample that has ended (a negative
number in `ended`). A target of V or more makes the row NaN.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("logits", "targets", "norm", "ended"),
    outputs=("loss", "correct", "dlogits"),
    optional=("ended", "dlogits"),
    push=("rows:u", "classes:u", "lanes:u", "need_grad:u", "sample_rows:u", "on_target:f", "everywhere:f"),
)
_GROUP = 128  # invocations of the shader's workgroup
_CHUNK = 1 << 15  # elements at a time in run: they stay in the cache


def shapes(
    logits: Tensor, targets: Tensor, norm: Tensor, ended: Tensor | None = None,
    *, label_smoothing: float = 0.0, need_grad: bool = True, kind: str = "softmax",
) -> tuple[tuple[int, ...] | None, ...]:  # fmt: skip
    """logits (..., V), targets i32 (...), norm (1,): what every row's gradient is multiplied by (1 / characters); ended
    (B,), one number for each B-th part of the rows.

    Outputs loss (rows,) in nats, correct (rows,) 0 or 1, dlogits (..., V) or None without need_grad.
    """
    name = "cross_entropy"
    require(name, targets.size == logits.rows, "one target for every row of logits", logits, targets)
    require(name, targets.dtype == "i32" and norm.shape == (1,), "targets must be i32, norm (1,)", targets, norm)
    require(name, 0 <= label_smoothing <= 1, f"label_smoothing must lie in [0, 1], not {label_smoothing}", logits)
    require(name, kind in ("softmax", "stablemax"), f"kind must be softmax or stablemax, not {kind}", logits)
    require(name, kind == "softmax" or not label_smoothing, "label smoothing goes with softmax alone", logits)
    if ended is not None:
        whole = len(ended.shape) == 1 and logits.rows % ended.size == 0
        require(name, whole, "ended must be (B,), with as many rows of logits for each", logits, ended)
    return ((logits.rows,), (logits.rows,), logits.shape if need_grad else None)


def launch(step: Step, traits: Traits) -> Launch:
    """A power of two of invocations per row; one, in the variant without barriers, on a software driver.

    Barriers are slow there, but lavapipe ends all loops of an invocation after 65535 turns: so not for long rows.
    """
    logits, ended = step.inputs[0], step.inputs[3]
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
        "sample_rows": rows // ended.size if ended else 0,
        "on_target": 1 - smoothing,
        "everywhere": smoothing / classes,
    }
    stable = "" if step.consts["kind"] == "softmax" else "stable"
    if alone:
        return Launch((Pass(groups_of(rows, 32, traits), push, f"{stable}_lane".strip("_")),))
    return Launch((Pass(groups_of(rows, _GROUP // lanes, traits), push, stable),))


def run(
    logits: np.ndarray, targets: np.ndarray, norm: np.ndarray, ended: np.ndarray | None = None,
    label_smoothing: float = 0.0, need_grad: bool = True, kind: str = "softmax",
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:  # fmt: skip
    classes = logits.shape[-1]
    x, t = logits.reshape(-1, classes), targets.reshape(-1)
    if ended is not None:
        t = np.where(np.repeat(ended < 0, len(x) // len(ended)), np.int32(-1), t)
    loss, correct = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    dlogits = np.empty_like(x) if need_grad else None
    size = max(1, _CHUNK // classes)
    for at in range(0, len(x), size):
        part = slice(at, at + size)
        d = np.empty_like(x[part]) if dlogits is None else dlogits[part]
        counts = (t[part] >= 0).astype(x.dtype)
        counts[t[part] >= classes] = np.nan
        hit = np.where((t[part] >= 0) & (t[part] < classes), t[part], 0)
        best = x[part].argmax(axis=1)
        if kind == "softmax":
            nats = _softmax(x[part], best, hit, counts * norm[0], label_smoothing, d)
        else:
            nats = _stablemax(x[part], hit, counts * norm[0], d)
        loss[part] = np.where(t[part] < 0, 0, nats * counts)
        correct[part] = best == t[part]
    return loss, correct, None if dlogits is None else dlogits.reshape(logits.shape)


def _softmax(
    x: np.ndarray, best: np.ndarray, hit: np.ndarray, by: np.ndarray, smoothing: float, d: np.ndarray
) -> np.ndarray:
    """Nats (n,) of rows x (n, V) with targets hit (n,); writes their gradient, times by (n,), into d (n, V)."""
    index, everywhere = np.arange(len(x)), smoothing / x.shape[1]
    z = np.subtract(x, x[index, best][:, None], out=d)
    nats = -(1 - smoothing) * z[index, hit]
    if smoothing:
        nats -= everywhere * z.sum(axis=1)
    np.exp(z, out=z)
    total = z.sum(axis=1)
    np.multiply(z, (by / total)[:, None], out=z)
    if smoothing:
        np.subtract(z, (everywhere * by)[:, None], out=z)
    z[index, hit] -= (1 - smoothing) * by
    return nats + np.log(total)


def _stablemax(x: np.ndarray, hit: np.ndarray, by: np.ndarray, d: np.ndarray) -> np.ndarray:
    """As `_softmax`, for stablemax."""
    index = np.arange(len(x))
    mass = stablemax_mass(x)
    total, there = mass.sum(axis=1), mass[index, hit]
    np.multiply(np.square(np.minimum(mass, 1)), (by / total)[:, None], out=d)
    d[index, hit] -= np.minimum(there, 1 / there) * by
    return np.log(total / there)


def stablemax_mass(x: np.ndarray) -> np.ndarray:
    """What stablemax has in the place of exp: x + 1 for x >= 0, 1 / (1 - x) below."""
    size = np.abs(x) + 1
    return np.where(x >= 0, size, 1 / size)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[cross_entropy] its gradient is its output dlogits: seed the backward of the logits with that")
