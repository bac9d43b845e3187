"""The factor that clips a gradient's norm (Pascanu et al. 2013, as torch.nn.utils.clip_grad_norm_), and a watch on it.

control = (scale, norm, bad, bad step): scale = min(1, max_norm / (norm + 1e-6)), 1 when max_norm <= 0. When the norm is
not finite, scale is 0, bad is 1 and stays 1, and bad step is the step at which that happened first. `adam` reads it.
"""

from __future__ import annotations

import numpy as np

from nyx.errors import ProgramError
from nyx.ops import Launch, Pass, Spec, Traits, require
from nyx.program import Step
from nyx.tensor import Tensor

SPEC = Spec(inputs=("partials", "hyper"), inouts=("control",), push=("n:u",))


def shapes(partials: Tensor, hyper: Tensor, control: Tensor) -> tuple[tuple[int, ...], ...]:
    """partials (P,) of grad_norm; hyper (R, 4), row 0: lr, max_norm, step number, unused; control (4,)."""
    require("clip", len(partials.shape) == 1, "partials must be (P,)", partials)
    require("clip", hyper.shape[1:] == (4,) and control.shape == (4,), "hyper (R, 4), control (4,)", hyper, control)
    return ()


def launch(step: Step, traits: Traits) -> Launch:
    partials = step.inputs[0]
    assert partials
    return Launch((Pass((1, 1, 1), {"n": partials.size}),))


def run(partials: np.ndarray, hyper: np.ndarray, control: np.ndarray) -> None:
    norm, max_norm = np.sqrt(partials.sum()), hyper[0, 1]
    if np.isfinite(norm):
        control[0] = min(1, max_norm / (norm + 1e-6)) if max_norm > 0 else 1
    else:
        control[0] = 0
        if control[2] == 0:
            control[2:] = 1, hyper[0, 2]
    control[1] = norm


def grad(step: Step, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
    raise ProgramError("[clip] no second derivatives")
