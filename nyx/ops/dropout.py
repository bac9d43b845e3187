"""y = x * keep / (1 - rate), where keep is drawn by Philox for every element (Srivastava et al., JMLR 2014, inverted).

The index of an element is first_sample * elements_per_sample + i, so a micro-batch draws what the big batch would.
"""

from __future__ import annotations

import math

import numpy as np

from nyx.ops import Launch, Pass, Spec, Traits, ceil_div, groups_of, require
from nyx.ops._philox import uniform
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("x", "counter"), outputs=("y",), push=("n:u", "per_sample:u", "stream:u", "rate:f", "scale:f"))


def shapes(x: Tensor, counter: Tensor, *, rate: float, stream: int) -> tuple[tuple[int, ...], ...]:
    """x (B, ...); counter u32 (4,): seed_lo, seed_hi, step, first_sample; stream: a number of its own for every use."""
    require("dropout", counter.shape == (4,) and counter.dtype == "u32", "counter must be u32 (4,)", counter)
    require("dropout", 0 <= rate < 1, f"the rate must lie in [0, 1), not {rate}", x)
    require("dropout", 0 <= stream < 2**32, f"the stream must be a u32, not {stream}", x)
    return (x.shape,)


def launch(step: Step, traits: Traits) -> Launch:
    x = step.inputs[0]
    assert x
    rate, stream = step.consts["rate"], step.consts["stream"]
    push = {"n": x.size, "per_sample": x.size // x.shape[0], "stream": stream, "rate": rate, "scale": 1 / (1 - rate)}
    blocks = ceil_div(x.size, 4) + 1  # one more, for a first element in the middle of a block
    return Launch((Pass(groups_of(blocks, 64, traits), push),))


def run(x: np.ndarray, counter: np.ndarray, rate: float, stream: int) -> np.ndarray:
    start = int(counter[3]) * math.prod(x.shape[1:])
    keep = uniform(counter, stream, start, x.size) >= np.float32(rate)
    y = np.multiply(x, keep.reshape(x.shape))
    return np.multiply(y, 1 / (1 - rate), out=y)


def grad(step: Step, dy: Tensor) -> tuple[Tensor | None, ...]:
    from nyx import ops

    return (ops.dropout(dy, step.inputs[1], **step.consts), None)
