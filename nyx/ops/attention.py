"""Causal softmax attention: o = softmax(q kᵀ / sqrt(D)) v in each head; q, k, v, o (B, T, C), lse (B, H, T), D = C / H.

lse is the log of the sum of exponentials of each row of scores, from which attention_backward works (Dao et al. 2022,
arXiv 2205.14135). Dropout (rate > 0) zeroes weights after the softmax and scales the others by 1 / (1 - rate); lse
knows nothing of it. Weight (b, h, i, j) is element (((counter[3] + b) H + h) T + i) T + j of the stream
(nyx/ops/_philox.py).
"""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.errors import ProgramError
from nyx.ops import Launch, Spec, Traits
from nyx.ops._attention import blocks, causal_mask, check, chunks, dropout_weights, heads
from nyx.program import Step
from nyx.tensor import Tensor

# scores: (heads, T, T in whole fours) of some of the B * H heads; each chunk of heads has passes of its own.
SPEC = Spec(
    inputs=("q", "k", "v", "counter"),
    outputs=("o", "lse"),
    scratch=("scores",),
    optional=("counter",),
    strided=("q", "k", "v"),
    push=(
        *("time:u", "n_head:u", "width:u", "pitch:u", "first:u", "count:u", "tiles:u", "tiles_x:u", "fours:u"),
        *("stream:u", "scale:f", "rate:f"),
    ),
)


def shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    counter: Tensor | None = None,
    n_head: int = 1,
    rate: float = 0.0,
    stream: int = 0,
) -> tuple[tuple[int, ...], ...]:
    return check("attention", q, k, v, counter, n_head, rate, stream)


def launch(step: Step, traits: Traits) -> Launch:
    some, scratch = chunks(step, (*step.inputs[:3], step.outputs[0]), traits)
    sums = ("sums_lane", 64) if traits.software else ("sums_group", 1)
    passes = [each for c in some for each in (c.scores("scores"), c.rows(*sums), c.values("mix"))]
    return Launch(tuple(passes), {"scores": scratch})


def run(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    counter: np.ndarray | None = None,
    n_head: int = 1,
    rate: float = 0.0,
    stream: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    b, t, c = q.shape
    qh, kh, vh = (heads(a, n_head) for a in (q, k, v))
    o = np.empty((b, t, c), q.dtype)
    oh = heads(o, n_head)
    lse = np.empty((b, n_head, t), q.dtype)
    scale = q.dtype.type((c // n_head) ** -0.5)
    for some, i0, i1 in blocks(b, n_head, t, rate):
        weights = np.matmul(qh[some, :, i0:i1], kh[some, :, :i1].swapaxes(2, 3))
        weights *= scale
        weights += causal_mask(i0, i1, q.dtype)
        top = weights.max(axis=3, keepdims=True)
        weights -= top
        np.exp(weights, out=weights)
        total = weights.sum(axis=3, keepdims=True)
        lse[some, :, i0:i1] = (top + np.log(total))[..., 0]
        weights /= total
        if rate:
            assert counter is not None
            weights *= dropout_weights(counter, stream, rate, (some, n_head, t, i0, i1), q.dtype)
        np.matmul(weights, vh[some, :, :i1], out=oh[some, :, i0:i1])
    return o, lse


def grad(step: Step, do: Tensor | None, dlse: Tensor | None) -> tuple[Tensor | None, ...]:
    if dlse is not None or do is None:
        raise ProgramError("[attention] lse carries no gradient")
    q, k, v, counter = step.inputs
    o, lse = step.outputs
    dq, dk, dv = ops.attention_backward(q, k, v, o, lse, do, counter, **step.consts)
    return (dq, dk, dv, None)
