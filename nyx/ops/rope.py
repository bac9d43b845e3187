"""Rotary positions: y = x cos + rotate_half(x) sin within each head; x, y (B, T, C), table (S, D), D = C / n_head.

rotate_half pairs element j of a head with j + D/2 (Su et al. 2021, arXiv 2104.09864, as in LLaMA and HRM-Text).
Row t turns by the angle of position start + t (start: i32, default 0). Where the table lacks a row for some t, all of y
is NaN.
"""

from __future__ import annotations

import numpy as np

from nyx import ops
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(
    inputs=("x", "table", "start"),
    outputs=("y",),
    optional=("start",),
    strided=("x", "y"),
    push=("rows:u", "time:u", "n_head:u", "half_width:u", "room:u", "has_start:u", "fours:u", "direction:f"),
)


def table(positions: int, width: int, theta: float = 10000.0) -> np.ndarray:
    """The rotations of `positions` positions for heads of even `width`: float32 (positions, width).

    A row holds the width/2 cosines, then the width/2 sines, of position * theta^(-2j/width), worked out in float64.
    """
    frequency = theta ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    angle = np.arange(positions, dtype=np.float64)[:, None] * frequency
    return np.concatenate((np.cos(angle), np.sin(angle)), axis=1).astype(np.float32)


def shapes(
    x: Tensor, table: Tensor, start: Tensor | None = None, n_head: int = 1, inverse: bool = False
) -> tuple[tuple[int, ...], ...]:
    require("rope", len(x.shape) == 3, "x must be (B, T, C)", x)
    require("rope", n_head > 0 and x.shape[2] % (2 * n_head) == 0, f"C must be {n_head} heads of an even width", x)
    width = x.shape[2] // n_head
    require("rope", len(table.shape) == 2 and table.shape[1] == width, f"table must be (S, {width})", x, table)
    require("rope", table.shape[0] >= x.shape[1], "table must hold a row for each of the T positions", x, table)
    require("rope", start is None or (start.shape == (1,) and start.dtype == "i32"), "start must be one i32", start)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    x, turns, start = step.inputs
    y, n_head = step.outputs[0], step.consts["n_head"]
    assert x and turns and y
    positions, half = turns.shape[0], turns.shape[1] // 2
    fours = all(n % 4 == 0 for n in (half, x.offset, x.row_stride, y.offset, y.row_stride, turns.offset))
    push: dict[str, int | float] = {"rows": x.rows, "time": x.shape[1], "n_head": n_head, "half_width": half}
    push |= {"room": positions - x.shape[1], "has_start": int(start is not None), "fours": int(fours)}
    push["direction"] = -1.0 if step.consts["inverse"] else 1.0
    return Launch((Pass(groups_of(x.rows * n_head * ceil_div(half, 4), 64, traits), push),))


def run(
    x: np.ndarray, table: np.ndarray, start: np.ndarray | None = None, n_head: int = 1, inverse: bool = False
) -> np.ndarray:
    b, t, c = x.shape
    half = c // n_head // 2
    first = 0 if start is None else int(start[0])
    if not 0 <= first <= table.shape[0] - t:
        return np.full(x.shape, np.nan, x.dtype)
    turns = table[first : first + t, None, :].astype(x.dtype, copy=False)
    cos, sin = turns[..., :half], turns[..., half:]
    if inverse:
        sin = -sin
    heads = x.reshape(b, t, n_head, 2 * half)
    low, high = heads[..., :half], heads[..., half:]
    y = np.empty((b, t, n_head, 2 * half), x.dtype)
    np.multiply(low, cos, out=y[..., :half])
    y[..., :half] -= high * sin
    np.multiply(high, cos, out=y[..., half:])
    y[..., half:] += low * sin
    return y.reshape(b, t, c)


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    _, turns, start = step.inputs
    dx = ops.rope(dy, turns, start, n_head=step.consts["n_head"], inverse=not step.consts["inverse"])
    return (dx, None, None)
