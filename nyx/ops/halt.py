"""The halting head of the Hierarchical Reasoning Model (Wang et al. 2025, arXiv 2506.21734, section 2 "Adaptive
computational time") after one segment: its losses and their gradient, and which rows end.

The head gives two logits at the last position: to halt, to continue. A row b with n targets, of which `correct` has P,
is in segment m = 1 + progress[b], and the last one when m = max_steps; next_halt and next_continue are what the head
says after one more segment (q_next, left out when max_steps is 1: then there is nothing to continue to):

    goal = 1 if P >= accuracy * n else 0                                        (the paper's reward: all are right)
    value = sigmoid(next_halt if m is the last else max(next_halt, next_continue))
    loss = (bce(halt, goal) + bce(continue, value)) / 2,  dq = norm * dloss/dq, 0 at all other positions
    the row ends when m is the last, or halt > continue and m >= least[b]

A row without any target takes no part: no loss, no gradient, and its `now` is 0.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits, require
from nyx.ops._launch import by_rows
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("q", "loss", "correct", "targets", "norm", "progress", "least", "q_next"),
    outputs=("dq", "report"),
    optional=("q_next",),
    push=("rows:u", "cols:u", "has_next:u", "max_steps:u", "accuracy:f"),
)
REPORT = 5  # columns
ROUNDING = 1e-3  # accuracy * n in float32 may lie a little above a whole number


def shapes(
    q: Tensor, loss: Tensor, correct: Tensor, targets: Tensor, norm: Tensor, progress: Tensor, least: Tensor,
    q_next: Tensor | None = None,
    *, max_steps: int, accuracy: float,
) -> tuple[tuple[int, ...], ...]:  # fmt: skip
    """q and q_next (B, T, 2); loss and correct (B T,) of cross_entropy; targets i32 (B, T); norm (1,), 1 / rows of the
    whole batch; progress (B,) segments done; least (B,), the least number of them for each row.

    Outputs dq (B, T, 2), and report (B, 5): segments done now, negative where the row has ended; nats and right
    predictions of the row; the loss of each of the head's two choices.
    """
    name = "halt"
    require(name, len(q.shape) == 3 and q.shape[2] == 2, "q must be (B, T, 2)", q)
    require(name, q_next is None or q_next.shape == q.shape, "q_next must be as q", q, q_next)
    require(name, (q_next is None) == (max_steps == 1), "q_next where there is a segment to come", q, q_next)
    require(name, targets.shape == q.shape[:2] and targets.dtype == "i32", "targets must be i32 (B, T)", q, targets)
    rows = (targets.size,)
    require(name, loss.shape == rows and correct.shape == rows, "loss and correct (B T,)", q, loss, correct)
    require(name, norm.shape == (1,), "norm must be (1,)", norm)
    require(name, progress.shape == least.shape == q.shape[:1], "progress and least (B,)", q, progress, least)
    require(name, max_steps >= 1 and 0 < accuracy <= 1, "constants out of range", q)
    return (q.shape, (q.shape[0], REPORT))


def launch(step: Step, traits: Traits) -> Launch:
    q = step.inputs[0]
    assert q
    rows, cols = q.shape[:2]
    consts = {name: step.consts[name] for name in ("max_steps", "accuracy")}
    push = {"rows": rows, "cols": cols, "has_next": int(step.inputs[-1] is not None), **consts}
    return Launch((by_rows(rows, cols, push, traits),))


def run(
    q: np.ndarray, loss: np.ndarray, correct: np.ndarray, targets: np.ndarray, norm: np.ndarray, progress: np.ndarray,
    least: np.ndarray, q_next: np.ndarray | None = None,
    *, max_steps: int, accuracy: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    rows, dtype = len(q), q.dtype.type
    n, nats, right = ((x.reshape(rows, -1)).sum(axis=1) for x in (targets >= 0, loss, correct))
    takes_part, segment = n > 0, progress + 1
    last = segment >= max_steps
    ends = last | ((q[:, -1, 0] > q[:, -1, 1]) & (segment >= least))
    goal = right + dtype(ROUNDING) >= dtype(accuracy) * n.astype(q.dtype)
    wanted, counts = np.zeros((rows, 2), q.dtype), np.tile(takes_part[:, None], (1, 2))
    wanted[:, 0] = goal
    if q_next is None:
        counts[:, 1] = False
    else:
        halt, go_on = q_next[:, -1].T
        wanted[:, 1] = _sigmoid(np.where(last, halt, np.maximum(halt, go_on)))
    z = q[:, -1]
    bce = np.where(counts, np.maximum(z, 0) - z * wanted + np.log1p(np.exp(-np.abs(z))), 0)
    dq = np.zeros_like(q)
    dq[:, -1] = np.where(counts, (_sigmoid(z) - wanted) * (norm[0] / 2), 0)
    now = np.where(takes_part, np.where(ends, -segment, segment), 0)
    return dq, np.stack([now, nats, right, *bce.T], axis=1).astype(q.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[halt] its gradient is its output dq: seed the backward of q with that")
