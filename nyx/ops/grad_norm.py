"""Partial sums of squares of a gradient, always cut at the same elements, so that two runs give the same bits.

The partials of all gradients, side by side in one tensor, are what `clip` adds up.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("g",), outputs=("partial",), push=("n:u", "each:u", "count:u"))
_EACH, _MOST = 8192, 2048  # elements per partial, until that makes too many partials


def _elements_each(n: int) -> int:
    """Elements of every partial but the last: a multiple of 4."""
    return _EACH * ceil_div(n, _EACH * _MOST)


def shapes(g: Tensor) -> tuple[tuple[int, ...], ...]:
    """g of any shape; partial (P,), P from 1 to 2048 by the size of g alone."""
    return ((ceil_div(g.size, _elements_each(g.size)),),)


def launch(step: Step, traits: Traits) -> Launch:
    g, partial = step.inputs[0], step.outputs[0]
    assert g and partial
    groups = groups_of(partial.size, 1, traits)
    return Launch((Pass(groups, {"n": g.size, "each": _elements_each(g.size), "count": partial.size}),))


def run(g: np.ndarray) -> np.ndarray:
    flat, each = g.reshape(-1), _elements_each(g.size)
    return np.array([np.dot(x, x) for x in np.split(flat, range(each, flat.size, each))], g.dtype)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[grad_norm] no second derivatives")
