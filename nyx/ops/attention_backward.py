"""The gradients of causal attention: dq, dk, dv (B, T, C) from o, lse and dy, the gradient of o.

With P the weights and P' the weights after dropout: dv = P'ᵀ dy, dP = (dy vᵀ) ∘ P'/P, delta = rowsum(dy ∘ o),
dS = P ∘ (dP - delta), dq = dS k / sqrt(D), dk = dSᵀ q / sqrt(D) (Dao et al. 2022, arXiv 2205.14135).
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._attention import blocks, causal_mask, check, chunks, dropout_weights, heads
from nyx.program import Step
from nyx.tensor import Tensor

# delta: (B, H, T). p, ds: (heads, T, T in whole fours) of some of the B * H heads; each chunk has passes of its own.
SPEC = Spec(
    inputs=("q", "k", "v", "o", "lse", "dy", "counter"),
    outputs=("dq", "dk", "dv"),
    scratch=("delta", "p", "ds"),
    optional=("counter",),
    strided=("q", "k", "v", "dq", "dk", "dv"),
    push=(
        *("time:u", "n_head:u", "width:u", "pitch:u", "first:u", "count:u", "tiles:u", "tiles_x:u", "fours:u"),
        *("stream:u", "scale:f", "rate:f"),
    ),
)


def shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    o: Tensor,
    lse: Tensor,
    dy: Tensor,
    counter: Tensor | None = None,
    n_head: int = 1,
    rate: float = 0.0,
    stream: int = 0,
) -> tuple[tuple[int, ...], ...]:
    made = check("attention_backward", q, k, v, counter, n_head, rate, stream)
    require("attention_backward", (o.shape, lse.shape) == made, f"o, lse must be {made[0]}, {made[1]}", o, lse)
    require("attention_backward", dy.shape == o.shape, "dy must have o's shape", o, dy)
    return (q.shape, k.shape, v.shape)


def launch(step: Step, traits: Traits) -> Launch:
    q, k, v, o, lse, dy, _ = step.inputs
    assert lse
    some, scratch = chunks(step, (q, k, v, o, dy, *step.outputs), traits)
    passes: list[Pass] = []
    for c in some:
        passes += [c.rows("delta", 64), c.scores("p"), c.scores("ds"), c.values("dv"), c.values("dq"), c.values("dk")]
    return Launch(tuple(passes), {"delta": lse.size, "p": scratch, "ds": scratch})


def run(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    o: np.ndarray,
    lse: np.ndarray,
    dy: np.ndarray,
    counter: np.ndarray | None = None,
    n_head: int = 1,
    rate: float = 0.0,
    stream: int = 0,
) -> tuple[np.ndarray, ...]:
    b, t, c = q.shape
    qh, kh, vh, dyh = (heads(a, n_head) for a in (q, k, v, dy))
    dq, dk, dv = np.empty((b, t, c), q.dtype), np.zeros((b, t, c), q.dtype), np.zeros((b, t, c), q.dtype)
    dqh, dkh, dvh = (heads(a, n_head) for a in (dq, dk, dv))
    scale = q.dtype.type((c // n_head) ** -0.5)
    delta = heads(dy * o, n_head).sum(axis=3)
    for some, i0, i1 in blocks(b, n_head, t, rate):
        keys, values = kh[some, :, :i1], vh[some, :, :i1]
        queries, cotangents = qh[some, :, i0:i1], dyh[some, :, i0:i1]
        weights = np.matmul(queries, keys.swapaxes(2, 3))
        weights *= scale
        weights += causal_mask(i0, i1, q.dtype)
        weights -= lse[some, :, i0:i1, None]
        np.exp(weights, out=weights)
        scores = np.matmul(cotangents, values.swapaxes(2, 3))
        dropped = weights
        if rate:
            assert counter is not None
            kept = dropout_weights(counter, stream, rate, (some, n_head, t, i0, i1), q.dtype)
            scores *= kept
            dropped = np.multiply(weights, kept, out=kept)
        dvh[some, :, :i1] += np.matmul(dropped.swapaxes(2, 3), cotangents)
        scores -= delta[some, :, i0:i1, None]
        scores *= weights
        scores *= scale
        np.matmul(scores, keys, out=dqh[some, :, i0:i1])
        dkh[some, :, :i1] += np.matmul(scores.swapaxes(2, 3), queries)
    return dq, dk, dv


def grad(step: Step, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[attention_backward] second derivatives are not there")
