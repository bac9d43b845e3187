"""What attention, attention_backward and attention_decode share: head views, the causal mask, dropout, and launches."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from nyx.ops import Traits, groups_of
from nyx.program import Step
from nyx.tensor import Tensor

# Scores that are worked on at once on the CPU: what fits in a core's cache.
_BLOCK = 1 << 18


def heads(a: np.ndarray, n_head: int) -> np.ndarray:
    """The view (B, H, T, D) of a (B, T, C) array."""
    b, t, c = a.shape
    return a.reshape(b, t, n_head, c // n_head).transpose(0, 2, 1, 3)


def blocks(b: int, n_head: int, t: int, rate: float) -> Iterator[tuple[slice, int, int]]:
    """Cuts the scores (B, H, T, T) for the CPU: samples, first query, last query + 1; keys run up to the last query.

    With dropout all queries stay together: their random numbers are drawn in one go.
    """
    rows = t if rate else min(t, 128)
    samples = max(1, _BLOCK // (n_head * rows * t))
    for first in range(0, b, samples):
        for i0 in range(0, t, rows):
            yield slice(first, min(b, first + samples)), i0, min(t, i0 + rows)


@functools.lru_cache(maxsize=64)
def causal_mask(i0: int, i1: int, dtype: np.dtype) -> np.ndarray:
    """(i1 - i0, i1): 0 where key j <= query i, minus infinity above."""
    return np.triu(np.full((i1, i1), -np.inf, dtype), 1)[i0:]


def dropout_weights(
    counter: np.ndarray, stream: int, rate: float, where: tuple[slice, int, int, int, int], dtype: np.dtype
) -> np.ndarray:
    """0 or 1 / (1 - rate) for the weights of a block (samples, H, queries i0..i1, keys ..i1)."""
    from nyx.ops import _philox

    some, n_head, t, i0, i1 = where
    n = (some.stop - some.start) * n_head * t * t
    start = (int(counter[3]) + some.start) * n_head * t * t
    uniform = _philox.uniform(counter, stream, start, n).reshape(-1, n_head, t, t)[:, :, i0:i1, :i1]
    return (uniform >= np.float32(rate)).astype(dtype) * dtype.type(1.0 / (1.0 - rate))


def launch_push(step: Step, q: Tensor) -> dict[str, int | float]:
    """The push constants that attention and its backward share."""
    b, t, c = q.shape
    n_head = step.consts["n_head"]
    return {
        "batch": b,
        "time": t,
        "n_head": n_head,
        "width": c // n_head,
        "stream": step.consts["stream"],
        "scale": (c // n_head) ** -0.5,
        "rate": step.consts["rate"],
    }


def row_groups(q: Tensor, n_head: int, traits: Traits) -> tuple[str, tuple[int, int, int]]:
    """The variant and the workgroups of a kernel with one lane for each row of each head."""
    return "", groups_of(q.rows * n_head, 64, traits)
