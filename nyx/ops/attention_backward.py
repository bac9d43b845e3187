"""The gradients of causal attention: dq, dk, dv (B, T, C) from o, lse and dy, the gradient of o.

With P the weights and P' the weights after dropout: dv = P'ᵀ dy, dP = (dy vᵀ) ∘ P'/P, delta = rowsum(dy ∘ o),
dS = P ∘ (dP - delta), dq = dS k / sqrt(D), dk = dSᵀ q / sqrt(D) (Dao et al. 2022, arXiv 2205.14135). No invocations add
to the same sum: one pass goes over the keys of each query, another over the queries of each key.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.ops._attention import blocks, causal_mask, dropout_weights, heads, launch_push, row_groups
from nyx.program import Step
from nyx.tensor import Tensor

# delta: (B, H, T)
SPEC = Spec(
    inputs=("q", "k", "v", "o", "lse", "dy", "counter"),
    outputs=("dq", "dk", "dv"),
    scratch=("delta",),
    optional=("counter",),
    strided=("q", "k", "v", "dq", "dk", "dv"),
    push=("batch:u", "time:u", "n_head:u", "width:u", "stream:u", "scale:f", "rate:f"),
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
    from nyx.ops.attention import shapes as forward_shapes

    made = forward_shapes(q, k, v, counter, n_head, rate, stream)
    require("attention_backward", (o.shape, lse.shape) == made, f"o, lse must be {made[0]}, {made[1]}", o, lse)
    require("attention_backward", dy.shape == o.shape, "dy must have o's shape", o, dy)
    return (q.shape, k.shape, v.shape)


def launch(step: Step, traits: Traits) -> Launch:
    q = step.inputs[0]
    assert q
    n_head = step.consts["n_head"]
    push = launch_push(step, q)
    variant, groups = row_groups(q, n_head, traits)
    rows = groups_of(q.rows * n_head, 64, traits)
    passes = (Pass(rows, push, "delta"), Pass(groups, push, "dq" + variant), Pass(groups, push, "dkv" + variant))
    return Launch(passes, {"delta": q.rows * n_head})


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
