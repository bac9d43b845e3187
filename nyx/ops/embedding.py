"""y[b, t] = scale * w[tokens[b, t]]. A token outside 0 .. V-1 makes its row NaN."""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("tokens", "w"), outputs=("y",), push=("n:u", "vocab:u", "cols:u", "scale:f"))


def shapes(tokens: Tensor, w: Tensor, scale: float = 1.0) -> tuple[tuple[int, ...], ...]:
    require("embedding", tokens.dtype == "i32", "tokens must be i32", tokens)
    require("embedding", len(w.shape) == 2, "w must be (V, C)", w)
    return ((*tokens.shape, w.shape[1]),)


def launch(step: Step, traits: Traits) -> Launch:
    tokens, w = step.inputs
    assert tokens and w
    n = tokens.size * w.shape[1]
    push = {"n": n, "vocab": w.shape[0], "cols": w.shape[1], "scale": step.consts["scale"]}
    return Launch((Pass(lanes(n, traits), push),))


def run(tokens: np.ndarray, w: np.ndarray, scale: float = 1.0) -> np.ndarray:
    y = np.take(w, tokens, axis=0, mode="clip")
    if scale != 1:
        y *= scale
    unknown = (tokens < 0) | (tokens >= len(w))
    if unknown.any():
        y[unknown] = np.nan
    return y


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    tokens, w = step.inputs
    assert w
    return (None, ops.embedding_backward(tokens, dy, vocab=w.shape[0], scale=step.consts["scale"]))
