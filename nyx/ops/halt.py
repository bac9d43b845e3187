"""The halting head of the Hierarchical Reasoning Model (Wang et al. 2025): which rows end with this segment, the head's
loss and its gradient, and what the rows that end now add to the totals.

The head gives two logits at the last position: to halt, to continue. A row b that has not ended is in segment
m = 1 + progress[b] (1 without `progress`), and the last one when m = max_steps. With P its right predictions among n
targets, and next_halt, next_continue what the head says after one more segment:

    goal = 1 if P >= accuracy * n else 0
    value = sigmoid(next_halt if m is the last else max(next_halt, next_continue))
    loss = (bce(halt, goal) + bce(continue, value)) / 2,  dq = norm * dloss/dq, 0 at all other positions
    the row ends when m is the last, or halt > continue and m >= its least number of segments

That least number is drawn: with the chance `exploration` evenly from 2 .. max_steps, else 1, from the numbers 2 (f + b)
and 2 (f + b) + 1 of the Philox stream, where f is the counter's first sample: the same in every segment and however a
batch is cut. A row without any target ends at once and has no loss.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits, require
from nyx.ops._launch import by_rows
from nyx.ops._philox import uniform
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("q", "q_next", "loss", "correct", "targets", "norm", "counter", "progress"),
    outputs=("dq", "now", "totals"),
    optional=("progress",),
    push=("rows:u", "cols:u", "has_progress:u", "max_steps:u", "stream:u", "exploration:f", "accuracy:f"),
)
ROUNDING = 1e-3  # accuracy * n in float32 may lie a little above a whole number


def shapes(
    q: Tensor, q_next: Tensor, loss: Tensor, correct: Tensor, targets: Tensor, norm: Tensor, counter: Tensor,
    progress: Tensor | None = None,
    *, max_steps: int, exploration: float, accuracy: float, stream: int = 0,
) -> tuple[tuple[int, ...], ...]:  # fmt: skip
    """q and q_next (B, T, 2); loss and correct (B T,) of cross_entropy; targets i32 (B, T); norm (1,), 1 / rows of the
    whole batch; counter u32 (4,); progress (B,) segments done, negative where the row has ended.

    Outputs dq (B, T, 2), the new progress (B,), and totals (3, B): loss and right predictions of the rows that end now,
    and the head's loss of those that took part.
    """
    name = "halt"
    require(name, len(q.shape) == 3 and q.shape[2] == 2 and q.shape == q_next.shape, "q, q_next (B, T, 2)", q, q_next)
    require(name, targets.shape == q.shape[:2] and targets.dtype == "i32", "targets must be i32 (B, T)", q, targets)
    rows = (targets.size,)
    require(name, loss.shape == rows and correct.shape == rows, "loss and correct (B T,)", q, loss, correct)
    require(name, norm.shape == (1,), "norm must be (1,)", norm)
    require(name, counter.shape == (4,) and counter.dtype == "u32", "counter must be u32 (4,)", counter)
    require(name, progress is None or progress.shape == q.shape[:1], "progress must be (B,)", q, progress)
    require(name, max_steps >= 1 and 0 <= exploration <= 1 and 0 < accuracy <= 1, "constants out of range", q)
    return (q.shape, q.shape[:1], (3, q.shape[0]))


def launch(step: Step, traits: Traits) -> Launch:
    q = step.inputs[0]
    assert q
    rows, cols = q.shape[:2]
    consts = {name: step.consts[name] for name in ("max_steps", "stream", "exploration", "accuracy")}
    push = {"rows": rows, "cols": cols, "has_progress": int(step.inputs[-1] is not None), **consts}
    return Launch((by_rows(rows, cols, push, traits),))


def run(
    q: np.ndarray, q_next: np.ndarray, loss: np.ndarray, correct: np.ndarray, targets: np.ndarray, norm: np.ndarray,
    counter: np.ndarray, progress: np.ndarray | None = None,
    *, max_steps: int, exploration: float, accuracy: float, stream: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    rows, dtype = len(q), q.dtype.type
    before = np.zeros(rows, q.dtype) if progress is None else progress
    n, right = (targets >= 0).sum(axis=1), correct.reshape(rows, -1).sum(axis=1)
    running, segment = (before >= 0) & (n > 0), before + 1
    last = segment >= max_steps
    drawn = uniform(counter, stream, 2 * int(counter[3]), 2 * rows).reshape(rows, 2)
    longer = np.minimum(np.floor(drawn[:, 1] * np.float32(max_steps - 1)), max_steps - 2) + 2
    least = np.where((drawn[:, 0] < np.float32(exploration)) & (max_steps > 1), longer, 1)
    ends = last | ((q[:, -1, 0] > q[:, -1, 1]) & (segment >= least)) | (n == 0)

    goal = (right + dtype(ROUNDING) >= dtype(accuracy) * n.astype(q.dtype)).astype(q.dtype)
    halt, go_on = q_next[:, -1, 0], q_next[:, -1, 1]
    value = _sigmoid(np.where(last, halt, np.maximum(halt, go_on)))
    wanted = np.stack([goal, value], axis=1)  # (B, 2)
    z = q[:, -1]
    nats = np.maximum(z, 0) - z * wanted + np.log1p(np.exp(-np.abs(z)))
    dq = np.zeros_like(q)
    dq[:, -1] = np.where(running[:, None], (_sigmoid(z) - wanted) * (norm[0] / 2), 0)
    now = np.where(before < 0, before, np.where(ends, -segment, segment))
    of_ended = ends & running
    totals = np.stack([
        np.where(of_ended, loss.reshape(rows, -1).sum(axis=1), 0),
        np.where(of_ended, right, 0),
        np.where(running, nats.sum(axis=1) / 2, 0),
    ])  # fmt: skip
    return dq, now, totals


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[halt] its gradient is its output dq: seed the backward of q with that")
