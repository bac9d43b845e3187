"""acc += g."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("g",), inouts=("acc",), strided=("g", "acc"), push=("rows:u", "columns:u"))


def shapes(g: Tensor, acc: Tensor) -> tuple[tuple[int, ...], ...]:
    require("gradient_accumulation", g.shape == acc.shape, "g and acc must have one shape", g, acc)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    g, acc = step.inputs[0], step.inouts[0]
    assert g
    rows, columns = (1, g.size) if g.contiguous and acc.contiguous else (g.rows, g.shape[-1])
    quads = rows * ceil_div(columns, 4)
    return Launch((Pass(groups_of(quads, 64, traits), {"rows": rows, "columns": columns}),))


def run(g: np.ndarray, acc: np.ndarray) -> None:
    np.add(acc, g, out=acc)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[gradient_accumulation] no second derivatives")
