"""Causal attention of one new position: q, k, v, o (B, 1, C), k_cache, v_cache (B, S, C), start i32 (1,), D = C / H.

Puts k and v at position start of the caches, then o = softmax(q kᵀ / sqrt(D)) v over the positions 0..start.
Where start is no position of the caches, o is NaN and the caches stay as they are.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, groups_of, require
from nyx.ops._attention import heads
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("q", "k", "v", "start"),
    inouts=("k_cache", "v_cache"),
    outputs=("o",),
    strided=("q", "k", "v"),
    push=("heads:u", "positions:u", "n_head:u", "width:u", "fours:u", "scale:f"),
)


def shapes(
    q: Tensor, k: Tensor, v: Tensor, start: Tensor, k_cache: Tensor, v_cache: Tensor, n_head: int = 1
) -> tuple[tuple[int, ...], ...]:
    ok = len(q.shape) == 3 and q.shape[1] == 1 and q.shape == k.shape == v.shape
    require("attention_decode", ok, "q, k, v must be (B, 1, C)", q, k, v)
    ok = len(k_cache.shape) == 3 and k_cache.shape == v_cache.shape and k_cache.shape[::2] == q.shape[::2]
    require("attention_decode", ok, "the caches must be (B, S, C)", q, k_cache, v_cache)
    require("attention_decode", n_head > 0 and q.shape[2] % n_head == 0, f"C must be a multiple of n_head {n_head}", q)
    require("attention_decode", q.shape[2] // n_head <= 256, f"a head ({n_head} of them) must be at most 256 wide", q)
    require("attention_decode", start.shape == (1,) and start.dtype == "i32", "start must be one i32", start)
    return (q.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    q, k, v, _ = step.inputs
    cache = step.inouts[0]
    assert q
    n_head = step.consts["n_head"]
    width = q.shape[2] // n_head
    push: dict[str, int | float] = {"heads": q.shape[0] * n_head, "positions": cache.shape[1], "n_head": n_head}
    rows = (q, k, v, *step.inouts, *step.outputs)
    fours = width % 4 == 0 and all(t is not None and t.offset % 4 == 0 and t.row_stride % 4 == 0 for t in rows)
    push |= {"width": width, "fours": int(fours), "scale": width**-0.5}
    return Launch((Pass(groups_of(q.shape[0] * n_head, 1, traits), push),))


def run(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    start: np.ndarray,
    k_cache: np.ndarray,
    v_cache: np.ndarray,
    n_head: int = 1,
) -> np.ndarray:
    at = int(start[0])
    if not 0 <= at < k_cache.shape[1]:
        return np.full(q.shape, np.nan, q.dtype)
    k_cache[:, at], v_cache[:, at] = k[:, 0], v[:, 0]
    keys, values = heads(k_cache[:, : at + 1], n_head), heads(v_cache[:, : at + 1], n_head)
    weights = np.matmul(heads(q, n_head), keys.swapaxes(2, 3))
    weights *= q.dtype.type((q.shape[2] // n_head) ** -0.5)
    weights -= weights.max(axis=3, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=3, keepdims=True)
    return np.matmul(weights, values).transpose(0, 2, 1, 3).reshape(q.shape)


def grad(step: Step, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[attention_decode] generation has no gradient")
