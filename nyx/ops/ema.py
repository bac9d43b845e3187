"""e += (1 - decay) (p - e): an exponential moving average.

Once control[2] is set (`clip` saw a norm that is not finite) nothing is written.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.ops._launch import lanes
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("p", "control"), inouts=("e",), push=("n:u", "rest:f"))


def shapes(p: Tensor, control: Tensor, e: Tensor, *, decay: float) -> tuple[tuple[int, ...], ...]:
    """p and e of one size; control (4,) of `clip`."""
    require("ema", p.size == e.size, "p and e must have one size", p, e)
    require("ema", control.shape == (4,), "control must be (4,)", control)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    n = step.inouts[0].size
    return Launch((Pass(lanes(n, traits), {"n": n, "rest": 1 - step.consts["decay"]}),))


def run(p: np.ndarray, control: np.ndarray, e: np.ndarray, decay: float) -> None:
    if control[2] == 0:
        e += (1 - decay) * (p - e)


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[ema] an average has no gradient")
