"""dw[v] = scale * the sum of dy[b, t] over all places where tokens[b, t] == v, always in the same order.

Tokens outside 0 .. V-1 are left out (embedding has made their rows NaN).
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.ops._launch import lanes, strips
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("tokens", "dy"),
    outputs=("dw",),
    scratch=("part",),
    push=("rows:u", "vocab:u", "cols:u", "strips:u", "scale:f"),
)

# Above these many elements there are fewer partial tables (GPU), or the rows are sorted instead (NumPy).
LARGE = 1 << 24


def shapes(tokens: Tensor, dy: Tensor, vocab: int, scale: float = 1.0) -> tuple[tuple[int, ...], ...]:
    require("embedding_backward", tokens.dtype == "i32", "tokens must be i32", tokens)
    require("embedding_backward", dy.shape[:-1] == tokens.shape, "dy must be (B, T, C) for tokens (B, T)", tokens, dy)
    require("embedding_backward", vocab >= 1, f"vocab must be at least 1, not {vocab}", tokens, dy)
    return ((vocab, dy.shape[-1]),)


def launch(step: Step, traits: Traits) -> Launch:
    """A table (V, C) for each strip of rows is cleared; a lane owns four columns of one and adds its strip's rows
    there; then the tables are summed."""
    tokens, dy = step.inputs
    assert tokens and dy
    rows, cols, vocab = tokens.size, dy.shape[-1], step.consts["vocab"]
    table = vocab * cols
    # Clearing and summing a table must not cost much more than adding the rows of its strip.
    parts = max(1, min(strips(rows, traits), ceil_div(4 * rows, vocab), LARGE // table))
    push = {"rows": rows, "vocab": vocab, "cols": cols, "strips": parts, "scale": step.consts["scale"]}
    return Launch(
        (
            Pass(lanes(parts * table, traits), push, "clear"),
            Pass(groups_of(parts * ceil_div(cols, 4), 64, traits), push),
            Pass(lanes(table, traits), push, "sum"),
        ),
        {"part": parts * table},
    )


def run(tokens: np.ndarray, dy: np.ndarray, vocab: int, scale: float = 1.0) -> np.ndarray:
    tokens, dy = tokens.reshape(-1), dy.reshape(-1, dy.shape[-1])
    known = (tokens >= 0) & (tokens < vocab)
    if not known.all():
        tokens, dy = tokens[known], dy[known]
    if vocab * len(tokens) <= LARGE:
        onehot = np.zeros((vocab, len(tokens)), dy.dtype)
        onehot[tokens, np.arange(len(tokens))] = scale
        return onehot @ dy
    order = np.argsort(tokens, kind="stable")
    found, first = np.unique(tokens[order], return_index=True)
    dw = np.zeros((vocab, dy.shape[1]), dy.dtype)
    dw[found] = np.add.reduceat(dy[order], first, axis=0)
    dw *= scale
    return dw


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[embedding_backward] has no gradient: there are no second derivatives")
