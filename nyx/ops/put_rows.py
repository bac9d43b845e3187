"""table[rows[b]] = x[b]: keeps what belongs to the rows of a batch until they come again; `embedding` reads it back.

Where two of `rows` are the same, so must be their x. A row that the table has not is left out.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "rows"), inouts=("table",), push=("n:u", "cols:u", "limit:u"))


def shapes(x: Tensor, rows: Tensor, table: Tensor) -> tuple[tuple[int, ...], ...]:
    """x (B, N), rows i32 (B,), table (R, N)."""
    require("put_rows", len(table.shape) == 2 and x.shape[1:] == table.shape[1:], "x (B, N), table (R, N)", x, table)
    require("put_rows", rows.shape == x.shape[:1] and rows.dtype == "i32", "rows must be i32 (B,)", x, rows)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    x, _ = step.inputs
    (table,) = step.inouts
    assert x
    return Launch((Pass(lanes(x.size, traits), {"n": x.size, "cols": x.shape[1], "limit": table.shape[0]}),))


def run(x: np.ndarray, rows: np.ndarray, table: np.ndarray) -> None:
    known = (rows >= 0) & (rows < len(table))
    table[rows[known]] = x[known]


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[put_rows] what is kept for a later run has no gradient")
