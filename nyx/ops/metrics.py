"""sums += (sum of loss, sum of correct, 1, 0): a batch's part in the totals that the host reads now and then."""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("loss", "correct"), inouts=("sums",), push=("rows:u",))


def shapes(loss: Tensor, correct: Tensor, sums: Tensor) -> tuple[tuple[int, ...], ...]:
    """loss (rows,), correct (rows,); sums (4,): loss, correct, batches, unused."""
    require("metrics", len(loss.shape) == 1 and loss.shape == correct.shape, "loss and correct (rows,)", loss, correct)
    require("metrics", sums.shape == (4,), "sums must be (4,)", sums)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    loss = step.inputs[0]
    assert loss
    return Launch((Pass((1, 1, 1), {"rows": loss.size}),))


def run(loss: np.ndarray, correct: np.ndarray, sums: np.ndarray) -> None:
    sums[0] += loss.sum()
    sums[1] += correct.sum()
    sums[2] += 1


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[metrics] totals for the host have no gradient")
